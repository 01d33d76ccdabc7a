"""Training data larger than memory: a million objects of one image, and of 100,000 images.

    python benchmarks/large_data.py

The image has 20,000 x 20,000 pixels and an object on every 20 x 20 of them, in zarr or as tiled
TIFF (chunks of 512, zstd and zlib). The images of the folder have 32 x 32 pixels and ten objects.
Crops are drawn in one process by the recipe's percentiles, in which the first one takes a sample
of the image; "memory" is the most that the process held over what it held before.
"""

import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
import torch
import zarr

from measure import seconds, write_table
from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.index import object_index
from spatialembed.data.open import open_data
from spatialembed.models.normalization import Normalization

SIDE, CHUNK, CELL, IMAGES, DRAWN = 20_000, 512, 20, 100_000, 100


def strips() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of chunks of the image and of its mask; each object is a disc of an id of its own."""
    rng = np.random.default_rng(0)
    disc = np.hypot(*np.indices((CELL, CELL)) - (CELL - 1) / 2) < CELL / 2 - 1
    x = np.arange(SIDE)
    for start in range(0, SIDE, CHUNK):
        y = np.arange(start, min(start + CHUNK, SIDE))[:, None]
        ids = y // CELL * (SIDE // CELL) + x // CELL + 1
        mask = np.where(disc[y % CELL, x % CELL], ids, 0).astype(np.int32)
        image = (mask > 0) * np.uint8(100) + rng.integers(0, 60, mask.shape, np.uint8)
        yield image, mask


def write_zarr(folder: Path) -> None:
    """The image and its mask as arrays of zarr."""
    options = {"shape": (SIDE, SIDE), "chunks": (CHUNK, CHUNK)}
    image = zarr.create_array(folder / "images" / "x.zarr", dtype="u1", **options)
    mask = zarr.create_array(folder / "masks" / "x.zarr", dtype="i4", **options)
    for k, rows in enumerate(strips()):
        place = slice(k * CHUNK, k * CHUNK + len(rows[0]))
        image[place], mask[place] = rows


def write_tiff(folder: Path) -> None:
    """The same as tiled TIFFs."""
    for number, (part, dtype) in enumerate((("images", np.uint8), ("masks", np.int32))):
        (folder / part).mkdir(parents=True)

        def tiles(number: int = number) -> Iterator[np.ndarray]:
            for rows in strips():
                array = rows[number]
                array = np.pad(array, ((0, -len(array) % CHUNK), (0, -SIDE % CHUNK)))
                yield from np.split(array, array.shape[1] // CHUNK, axis=1)

        tifffile.imwrite(
            folder / part / "x.tif", tiles(), shape=(SIDE, SIDE), dtype=dtype,
            tile=(CHUNK, CHUNK), compression="zlib", photometric="minisblack",
        )  # fmt: skip


def write_images(folder: Path) -> None:
    """A folder of many small images."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for k in range(IMAGES):
        mask = np.zeros((32, 32), np.uint8)
        mask[: 3 * 10, k % 28 : k % 28 + 3] = np.arange(30)[:, None] // 3 + 1
        for part in ("images", "masks"):
            tifffile.imwrite(folder / part / f"plate_field_{k:07d}.tif", mask)


def peak() -> float:
    """GB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measured(root: Path) -> dict[str, float]:
    """Seconds, crops a second and GB of one data set."""
    torch.set_num_threads(1)
    before, data = peak(), []
    result = {"open": seconds(lambda: data.append(open_data(root, holdout=0)))}
    result["index"] = seconds(lambda: object_index(data[0]))
    result["index again"] = seconds(lambda: data.append(object_index(data[0])))
    result["objects"] = len(data[1])
    augmentation = Augmentation(scale=(0.8, 1.25), brightness=0.1, contrast=0.2)
    for size in (256, 512):
        cropper = Cropper(
            data[0], Normalization("percentile").fixed, size, data[1], augmentation=augmentation
        )
        result["first crop"] = seconds(lambda cropper=cropper: cropper.draw(0))
        drawn = seconds(lambda cropper=cropper: [cropper.draw(k) for k in range(1, DRAWN + 1)])
        result[f"crops {size}"] = DRAWN / drawn
    result["memory"] = peak() - before
    return result


def main() -> None:
    """Measure each in a process of its own."""
    writers = {"one image, zarr": write_zarr, "one image, tiled TIFF": write_tiff,
               "100,000 images": write_images}  # fmt: skip
    rows = []
    for name, write in writers.items():
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "train")
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                r = pool.apply(measured, (Path(folder),))
        rows.append(
            [
                name, f"{r['objects']:,}", f"{r['open']:.2f} s", f"{r['index']:.1f} s",
                f"{r['index again']:.2f} s", f"{r['first crop']:.1f} s",
                f"{r['crops 256']:.0f}", f"{r['crops 512']:.0f}", f"{r['memory']:.2f} GB",
            ]
        )  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
    header = ["data", "objects", "opened in", "indexed in", "again in", "first crop",
              "256² crops a second", "512²", "memory"]  # fmt: skip
    write_table("large_data", header, rows)


if __name__ == "__main__":
    main()
