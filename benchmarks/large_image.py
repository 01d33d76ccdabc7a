"""Images larger than memory: speed-up by a second worker, cost of tiles and seams, memory.

    python benchmarks/large_image.py    # about fifteen minutes, and 10 GB of disk
    python benchmarks/large_image.py --pyramid 20000    # about ten minutes, 2 GB of memory

The network is replaced by nothing but a decoder: pixels say where the center of their object is
(tests/large/pointing.py), so that what is timed is reading, clustering, seams and writing. Times
are of the work itself, without the start of the workers, and memory is the most that a worker held
at any time.

``--pyramid`` is the command itself, with its model: a tiled OME-TIFF of so many pixels a side, with
levels and a pixel size, of generated nuclei, becomes labels, and what these say of pixels is read.
"""

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import tifffile
import zarr

from measure import show, write_table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "large"))
from pointing import Pointing, pointing_image

from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.export.sample_image import sample_image
from spatialembed.large import Workers, predict_large
from spatialembed.large.mosaic import plan
from spatialembed.large.worker_model import Source
from spatialembed.models.shipped import shipped

PERIOD = 2000


def image(path: Path, side: int, pattern: np.ndarray) -> Path:
    """A Zarr image of a pattern that is repeated, written row by row of it."""
    shape = (side, side, *pattern.shape[2:])
    array = zarr.create_array(path, shape=shape, chunks=(1000, 1000, *shape[2:]), dtype=np.uint8)
    across = -(-side // len(pattern))
    row = np.concatenate([pattern] * across, axis=1)[:, :side]
    for y in range(0, side, len(pattern)):
        array[y : y + len(pattern)] = row[: min(len(pattern), side - y)]
    return path


class Watched:
    """Most memory of any one process below this one, and when the work began and ended."""

    def __init__(self) -> None:
        self.peak, self.running = 0, True
        self.marks: list[float] = []
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        own = psutil.Process()
        while self.running:
            for child in own.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.peak = max(self.peak, child.memory_info().rss)
            time.sleep(0.2)

    def track(self, items, total, doing, of="images"):
        """As progress bars are called: the first begins when the workers are there."""
        self.marks.append(time.perf_counter())
        yield from items
        self.marks.append(time.perf_counter())


def run(source: Source, path: Path, workers: int, zoom: float, largest: float) -> dict[str, float]:
    """Predict, and say how long it took, how much memory a worker needed and what was found."""
    watched = Watched()
    watched.thread.start()
    out = path.with_name(f"{path.stem}-{workers}-labels.zarr")
    mosaic = plan(zarr.open_array(path).shape[:2], 2, zoom, largest)  # the same for one or two
    count = predict_large(
        source, path, out, Workers(workers), True, mosaic=mosaic, track=watched.track
    )
    watched.running = False
    seconds = watched.marks[-1] - watched.marks[0]
    return {"s": seconds, "GB": watched.peak / 1e9, "objects": count, "tiles": len(mosaic)}


def row(what: str, found: dict[str, float], beside: str = "") -> list[str]:
    """One of the table."""
    memory = f"{found['GB']:.2f} GB" if "GB" in found else ""
    tiles = str(found.get("tiles", ""))
    return [what, f"{found['objects']:,}", tiles, show(found["s"]), memory, beside]


def pointing_rows(folder: Path) -> list[list[str]]:
    """Speed-up, memory against the side, time against the number of objects."""
    rows, dense = [], pointing_image((PERIOD, PERIOD), 0)
    for side in (4096, 8192, 16384, 40_000):
        path = image(folder / f"{side}.zarr", side, dense)
        two = run(Pointing(), path, 2, 1.0, 30)
        beside = f"{two['s'] / side**2 * 1e9:.0f} ns a pixel"
        if side == 8192:
            one = run(Pointing(), path, 1, 1.0, 30)
            rows.append(row(f"{side}², one worker", one))
            beside = f"{one['s'] / two['s']:.2f} × one worker"
        rows.append(row(f"{side}², two workers", two, beside))
    for spacing in (44, 88):
        path = image(folder / f"{spacing}.zarr", 8192, pointing_image((PERIOD,) * 2, 0, spacing))
        rows.append(row("8192², fewer objects", run(Pointing(), path, 2, 1.0, 1.4 * spacing)))
    return rows


def pyramid(path: Path, side: int, micrometres: float, levels: int = 4) -> Path:
    """A tiled OME-TIFF with levels of generated nuclei, as wide as those of ``nuclei``."""
    (spec,) = (model.spec for model in shipped() if model.name == "nuclei")
    pattern = sample_image(spec, spec.object_diameter, 500)[..., 0]
    across = -(-side // len(pattern))
    pixels = np.tile(pattern, (across, across))[:side, :side]
    said = {"axes": "YX", "PhysicalSizeX": micrometres, "PhysicalSizeY": micrometres}
    how = {"tile": (512, 512), "compression": "zlib"}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        file.write(pixels, subifds=levels, metadata=said, **how)
        for level in range(1, levels + 1):
            file.write(np.ascontiguousarray(pixels[:: 2**level, :: 2**level]), subfiletype=1, **how)
    return path


def pyramid_row(folder: Path, side: int, micrometres: float = 0.25) -> list[str]:
    """What the command makes of one, and the size of pixels at each level of its labels."""
    path, out = pyramid(folder / "big.ome.tif", side, micrometres), folder / "labels.zarr"
    command = ["predict", "nuclei", str(path), "--out", str(out), "--workers", "2"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "spatialembed", *command], check=True)
    seconds = time.perf_counter() - start
    (scales,) = zarr.open_group(out, mode="r").attrs["ome"]["multiscales"]
    steps = [level["coordinateTransformations"][0]["scale"][0] for level in scales["datasets"]]
    units = {axis["unit"] for axis in scales["axes"]}
    assert pixel_size(path) == pixel_size(out) == (micrometres, micrometres)
    assert units == {"micrometer"}
    (count,) = zarr.open_array(out / "instances" / "score", mode="r").shape
    size = path.stat().st_size / 1e6
    told = ", ".join(f"{step:g}" for step in steps)
    return [f"{side}²", f"{size:.0f} MB", f"{micrometres:g} µm", f"{count:,}", show(seconds), told]


def main() -> None:
    """Measure and write the table."""
    if sys.argv[1:2] == ["--pyramid"]:
        side = sys.argv[2]
        with tempfile.TemporaryDirectory() as folder:
            rows = [pyramid_row(Path(folder), int(side))]
        header = ["pyramid", "file", "a pixel", "objects", "time", "µm a pixel, labels' levels"]
        write_table("large_image", header, rows, f"--pyramid {side}", table="large_image, pyramid")
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = pointing_rows(Path(folder))
    header = ["image", "objects", "tiles", "time", "memory of a worker", ""]
    write_table("large_image", header, rows)


if __name__ == "__main__":
    main()
