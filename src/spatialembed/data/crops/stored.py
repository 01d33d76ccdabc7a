"""The paper's stored crops: one around each object, written once as a data set of its own.

Training crops on the fly; stored crops are for comparing with the paper, and for images so large
that decoding them would be what training waits for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.data_set import DataSet, FileDataSet
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.spacing import PixelSize
from spatialembed.data.index import ObjectIndex
from spatialembed.data.large_sample import LargeSample
from spatialembed.data.layouts.cityscapes import IMAGE_ENDING, LABEL_IDS, THINGS, TRUTH_ENDING
from spatialembed.data.sample import Sample
from spatialembed.data.targets import Targets
from spatialembed.errors import UserError

CITY = "crops"
"""Name of the one city that stored crops in the Cityscapes layout come from."""

CENTIMETRE = 1e4
"""Micrometres."""

_BACKGROUND = LABEL_IDS["road"]
_IGNORED = LABEL_IDS["out of roi"]

Writer = Callable[[Path, str, Sample, PixelSize | None], None]


def require_images(dataset: DataSet) -> None:
    """Raise a UserError if a data set is of volumes, or of several targets."""
    if isinstance(dataset, Targets):
        raise UserError(
            f"{dataset.root} has masks of several targets, and crops of one are stored: choose it "
            "by --classes, or train on the data as it is"
        )
    if isinstance(dataset, FileDataSet) and dataset.dims == 3:
        raise UserError(
            f"{dataset.root} holds volumes, and crops of images alone are stored; train on it as "
            "it is: training cuts its crops by itself"
        )


def store_crops(dataset: DataSet, index: ObjectIndex, out: str | Path, size: int) -> int:
    """Write one crop centered on each object of one split, to be opened by ``open_data``.

    Parts that lie far from an object's largest one do not count. A crop is moved inside the image
    where it would hang over the border, and is as small as the image where that is smaller than
    ``size``; nothing is resampled. Classes of Cityscapes are written in its layout, any other
    single class as a label folder of TIFFs, which state the pixel size of their image, both with
    their ignore regions. Nothing is left behind when it fails.

    Args:
        dataset: the split to cut from; its crops go to a split of the same name.
        index: the objects of ``dataset``.
        out: folder, made if need be. It may hold crops of other splits already.
        size: side of a crop in pixels.

    Returns:
        The number of crops written.

    Raises:
        UserError: a size below 1, crops of this split are in ``out`` already, classes that no
            layout holds, an image that is not 8-bit grey or RGB in the Cityscapes layout, or a
            folder that cannot be written.
    """
    out = Path(out)
    require_images(dataset)
    if size < 1:
        raise UserError(f"the crop size must be at least 1 pixel, not {size}")
    write, folders = _layout(dataset)
    present = [str(out / folder) for folder in folders if (out / folder).exists()]
    if present:
        raise UserError(f"{present[0]} exists already; remove it or choose another folder")
    try:
        return _store(dataset, index, out, size, write, folders)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"could not write crops to {out}: {reason}; free space or choose another folder"
        ) from error


def cut(sample: Sample | LargeSample, box: Sequence[int], size: int) -> Sample:
    """The part of ``sample`` of at most ``size`` by ``size`` pixels about a box's center.

    Args:
        sample: an image with its truth.
        box: y0, x0, y1, x1 in pixels, half open.
        size: side in pixels.
    """
    return sample.read(*window(sample.image.shape[:2], box, size))


def window(shape: tuple[int, ...], box: Sequence[int], size: int) -> tuple[slice, slice]:
    """Rows and columns that :func:`cut` takes of an image of ``shape`` (H, W)."""
    sides = []
    for axis, length in enumerate(shape):
        start = (int(box[axis]) + int(box[axis + 2]) - size) // 2
        start = min(max(start, 0), max(length - size, 0))
        sides.append(slice(start, min(start + size, length)))
    return sides[0], sides[1]


def _store(
    dataset: DataSet,
    index: ObjectIndex,
    out: Path,
    size: int,
    write: Writer,
    folders: Sequence[Path],
) -> int:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".crops-", dir=out, ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        for folder in folders:
            (scratch / folder).mkdir(parents=True)
        for number in np.unique(index.image).tolist():
            large = dataset.large(number) if isinstance(dataset, FileDataSet) else None
            sample = dataset[number] if large is None else large
            files = dataset.files(number)
            pixels = pixel_size(files[0]) if files else None
            first, last = np.searchsorted(index.image, [number, number + 1])
            for k in range(first, last):
                stem = f"{sample.name}_{int(index.label[k]):06d}"
                write(scratch, stem, cut(sample, index.box[k].tolist(), size), pixels)
        for folder in folders:
            (out / folder).parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch / folder, out / folder)
    return len(index)


def _layout(dataset: DataSet) -> tuple[Writer, list[Path]]:
    """What writes a crop of ``dataset``, and the folders that it fills."""
    names, split = dataset.class_names, dataset.split
    if set(names) <= set(THINGS):
        images, truths = Path("leftImg8bit") / split, Path("gtFine") / split

        def write_cityscapes(root: Path, stem: str, crop: Sample, _: PixelSize | None) -> None:
            _write_png(root / images / CITY / f"{stem}{IMAGE_ENDING}.png", _eight_bit(crop))
            _write_png(root / truths / CITY / f"{stem}{TRUTH_ENDING}", _instance_ids(crop, names))

        return write_cityscapes, [images, truths]
    if len(names) > 1:
        raise UserError(
            f"crops of the classes {', '.join(names)} fit no layout: label folders hold one "
            f"class, Cityscapes' are {', '.join(THINGS)}; train on the data set itself"
        )

    def write_label_folder(root: Path, stem: str, crop: Sample, pixels: PixelSize | None) -> None:
        if crop.ignore.any():
            ignored = crop.ignore.astype(np.uint8)
            _write_tiff(root / split / "ignore" / f"{stem}.tif", ignored)
        _write_tiff(root / split / "images" / f"{stem}.tif", _grey_flat(crop.image), pixels)
        _write_tiff(root / split / "masks" / f"{stem}.tif", _smallest(crop.label_mask))

    return write_label_folder, [Path(split)]


def _eight_bit(crop: Sample) -> NDArray[np.uint8]:
    if crop.image.dtype != np.uint8 or crop.image.shape[2] not in (1, 3):
        raise UserError(
            f"{crop.name} has {crop.image.shape[2]} channels of {crop.image.dtype}; crops in the "
            "Cityscapes layout hold 8-bit grey or RGB; train on the data set itself"
        )
    return _grey_flat(crop.image)


def _grey_flat(image: NDArray[Any]) -> NDArray[Any]:
    """(H, W) of a grey image, else (H, W, C)."""
    return image[..., 0] if image.shape[2] == 1 else image


def _instance_ids(crop: Sample, names: Sequence[str]) -> NDArray[np.uint16]:
    """Cityscapes' ids: 1000 * label + n on the n-th object of a class, else a label alone."""
    ids = np.where(crop.ignore, _IGNORED, _BACKGROUND).astype(np.uint16)
    count = dict.fromkeys(names, 0)
    for label in np.unique(crop.label_mask[crop.label_mask > 0]):
        pixels = crop.label_mask == label
        name = names[crop.class_map[pixels][0]]
        if count[name] == 1000:
            raise UserError(f"{crop.name} has over 1000 objects of {name} in one crop; use less")
        ids[pixels & ~crop.ignore] = 1000 * LABEL_IDS[name] + count[name]
        count[name] += 1
    return ids


def _smallest(label_mask: NDArray[np.int32]) -> NDArray[np.unsignedinteger]:
    return label_mask.astype(np.min_scalar_type(int(label_mask.max(initial=0))))


def _write_png(path: Path, array: NDArray[np.integer]) -> None:
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)


def _write_tiff(path: Path, array: NDArray[np.generic], pixels: PixelSize | None = None) -> None:
    import tifffile

    path.parent.mkdir(exist_ok=True)
    kind: Literal["rgb", "minisblack"] = "rgb" if array.shape[2:] == (3,) else "minisblack"
    # Tags of resolution go with any type and channels.
    said = (
        {} if pixels is None else {"resolution": (CENTIMETRE / pixels[1], CENTIMETRE / pixels[0])}
    )
    how: dict[str, Any] = said | ({"resolutionunit": "CENTIMETER"} if said else {})
    tifffile.imwrite(path, array, photometric=kind, planarconfig="contig", **how)  # (H, W, C)
