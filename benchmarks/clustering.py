"""Clustering against naive loops (tests/reference.py), float32; in turns.

    python benchmarks/clustering.py

Both give the same label map, which is checked. numpy's loops run on one thread, and so does ours.
"""

import numpy as np

from measure import copy_limit, show, side_by_side, write_table
from naive import reference
from spatialembed.clustering import cluster
from workload import ellipses, trained_output


def noise(shape: tuple[int, int]) -> np.ndarray:
    """The output of a network that knows nothing: seeds everywhere, none with enough pixels."""
    rng = np.random.default_rng(0)
    output = rng.normal(0, 0.002, (5, *shape)).astype(np.float32)
    output[2:4] = 1.1
    output[4] = rng.normal(-2, 1.4, shape)
    return output


def main() -> None:
    """Measure all cases."""
    cases = {
        f"{h}×{w}, {n:,} objects on {share:.0%}": trained_output(ellipses((h, w), n, 0, share))
        for h, w, n, share in [
            (1024, 2048, 20, 0.1), (1024, 2048, 100, 0.1), (1024, 2048, 20, 0.3),
            (1024, 2048, 100, 0.3), (1024, 2048, 10_000, 0.3), (2048, 2048, 1000, 0.1),
        ]
    }  # fmt: skip
    cases["1024×1024, noise"] = noise((1024, 1024))
    rows = []
    for name, output in cases.items():
        min_size = 128 if "noise" in name else 16
        options = {"n_sigma": 2, "min_size": min_size}
        works = {"ours": lambda o=output, s=options: cluster(o, **s)}
        long = "1,000" in name or "noise" in name
        if "10,000" not in name:
            label_map = reference.cluster(output, **options)[0]
            assert np.array_equal(cluster(output, **options).label_map, label_map)
            works["naive"] = lambda o=output, s=options: reference.cluster(o, **s)
        times = side_by_side(works, 3 if long else 7)
        naive = times.get("naive")
        ratio = "" if naive is None else f"{naive / times['ours']:.0f} ×"
        found = len(cluster(output, **options))
        limit = (output.nbytes + output[0].nbytes) / copy_limit()
        row = [name, found, show(naive) if naive else "", show(times["ours"]), ratio]
        rows.append([*row, f"{limit / times['ours']:.0%}"])
    write_table("clustering", ["image", "found", "naive", "ours", "faster", "of the limit"], rows)


if __name__ == "__main__":
    main()
