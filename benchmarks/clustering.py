"""Clustering against naive loops (tests/reference.py), float32; in turns.

    python benchmarks/clustering.py

Both give the same label map, which is checked. numpy's loops run on one thread, and so does ours.
"""

import sys
from pathlib import Path

import numpy as np

from measure import show, side_by_side, write_table
from workload import ellipses, trained_output

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reference
from spatialembed.clustering import cluster

OPTIONS = {"n_sigma": 2, "min_size": 16}


def noise(shape: tuple[int, int]) -> np.ndarray:
    """An untrained network's output: over a thousand seeds, none of which is accepted."""
    rng = np.random.default_rng(0)
    output = rng.normal(0, 0.002, (5, *shape)).astype(np.float32)
    output[2:4] = 1.1
    output[4] = rng.normal(-2, 1.2, shape)
    return output


def main() -> None:
    """Measure all cases."""
    cases = {
        f"{h}×{w}, {n} objects": trained_output(ellipses((h, w), n))
        for h, w, n in [
            (1024, 2048, 20), (1024, 2048, 100), (1024, 2048, 10_000), (2048, 2048, 1000),
        ]
    }  # fmt: skip
    cases["512×512, noise"] = noise((512, 512))
    rows = []
    for name, output in cases.items():
        works = {"ours": lambda o=output: cluster(o, **OPTIONS)}
        if "10000" not in name:
            label_map = reference.cluster(output, **OPTIONS)[0]
            assert np.array_equal(cluster(output, **OPTIONS).label_map, label_map)
            works["naive"] = lambda o=output: reference.cluster(o, **OPTIONS)
        times = side_by_side(works, 3 if "1000 " in name else 5)
        naive = times.get("naive")
        ratio = "" if naive is None else f"{naive / times['ours']:.0f} ×"
        found = len(cluster(output, **OPTIONS))
        rows.append([name, found, show(naive) if naive else "", show(times["ours"]), ratio])
    write_table("clustering", ["image", "found", "naive", "ours", "faster"], rows)


if __name__ == "__main__":
    main()
