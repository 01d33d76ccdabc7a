"""What tiles and seams cost where the shipped model could take the whole image at once.

    python benchmarks/tiles.py    # about six minutes

The three ways take turns. The worker of the tiles has as many threads as the other two; what it
takes to load the model, which the others have loaded, is told by an image of one small tile and
taken off.
"""

import tempfile
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import zarr

from large_image import PERIOD, image, pointing_image, run
from measure import seconds, show, write_table
from spatialembed.inference import tiles
from spatialembed.large import ModelSource
from spatialembed.metrics.matching import match

ALIKE = 0.9
SIDE, SMALL, TURNS, SPACING = 4000, 100, 3, 44


def discs() -> np.ndarray:
    """Grey discs in noise, some touching."""
    rng = np.random.default_rng(0)
    pattern = pointing_image((PERIOD,) * 2, 0, SPACING)[..., 2] > 100
    return (127 * pattern + rng.integers(0, 40, pattern.shape)).astype(np.uint8)


def main() -> None:
    """Measure and write the table."""
    source = ModelSource("nuclei", precision="bf16")
    model = source.load()
    loading: list[float] = []
    times: dict[str, list[float]] = {"in one pass": [], "cut by predict": [], "in tiles": []}
    found: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = image(Path(folder) / "grey.zarr", SIDE, discs())
        small = image(Path(folder) / "small.zarr", SMALL, discs())
        pixels = zarr.open_array(path)[:]
        model.predict(pixels[:500, :500])

        def whole(way: str) -> None:
            found[way] = model.predict(pixels).label_map

        for _ in range(TURNS):
            with mock.patch.object(tiles, "_side", return_value=2 * SIDE):
                times["in one pass"].append(seconds(lambda: whole("in one pass")))
            times["cut by predict"].append(seconds(lambda: whole("cut by predict")))
            loading.append(run(source, small, 1, model.zoom, 1.25 * SPACING)["s"])
            spent = run(source, path, 1, model.zoom, 1.25 * SPACING)["s"]
            times["in tiles"].append(spent - median(loading))
            found["in tiles"] = zarr.open_array(path.with_name("grey-1-labels.zarr") / "0")[:]
    first, truth = median(times["in one pass"]), found["in one pass"]
    rows = []
    for way, each in times.items():
        matching = match(found[way].astype(np.int64), truth)
        alike = ((matching.iou >= ALIKE).sum(), (matching.iou == 1).sum())
        counts = [f"{count:,}" for count in (matching.n_found, *alike)]
        rows.append([way, *counts, show(median(each)), f"{median(each) / first - 1:+.0%}"])
    rows.append(["loading, taken off", "", "", "", show(median(loading)), ""])
    same = f"as in one pass, IoU ≥ {ALIKE}"
    write_table("tiles", [f"{SIDE}², shipped model", "objects", same, "exactly", "time", ""], rows)


if __name__ == "__main__":
    main()
