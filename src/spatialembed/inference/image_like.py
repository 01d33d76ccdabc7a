"""What is taken for an image: a file, an array or a PIL image."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from spatialembed.data.images.pillow_image import pillow_array
from spatialembed.data.images.reading import further_images, read_image, read_stack
from spatialembed.data.images.vendor_image import vendor_remark
from spatialembed.errors import ImageWarning, UserError

COLORS_FROM = 16
"""Pixels a side from which on three or four numbers each are colors, not a volume so narrow."""

ImageLike: TypeAlias = "str | os.PathLike[str] | np.ndarray | Image.Image"
"""A file's path, an array (H, W) or (H, W, C) of any dtype as stored, or a PIL image."""


def to_name(image: ImageLike) -> str:
    """What errors call an image: its path, if it has one."""
    if isinstance(image, (str, os.PathLike)):
        return str(image)
    return str(getattr(image, "filename", "")) or "the image"


def to_array(image: ImageLike, dims: int = 2) -> tuple[np.ndarray, str]:
    """Pixels (H, W, C) in their stored dtype, and the name errors call the image by.

    The orientation that a file states is applied; arrays and PIL images are taken as they are.

    Args:
        image: what is taken for one.
        dims: spatial axes: 2, or 3 of a volume (Z, H, W, C), which is a file's path or an array
            (Z, H, W) or (Z, H, W, C).

    Raises:
        UserError: the file cannot be read, or an array is not (H, W) or (H, W, C) numbers.
    """
    if dims == 3:
        return _volume(image)
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        if further := further_images(path):
            warnings.warn(f"{path} {further}", stacklevel=2)
        _tell_remark(path)
        return read_image(path), to_name(image)
    if isinstance(image, Image.Image):
        return pillow_array(image), to_name(image)
    array = unmasked(image)
    if array.ndim not in (2, 3) or array.dtype.kind not in "buif":
        raise UserError(
            f"an image is an array (H, W) or (H, W, C) of numbers, "
            f"not {array.dtype} of shape {array.shape}"
        )
    return (array[..., None] if array.ndim == 2 else array), to_name(image)


def _volume(image: ImageLike) -> tuple[np.ndarray, str]:
    if isinstance(image, (str, os.PathLike)):
        _tell_remark(Path(image))
        return read_stack(Path(image)), str(image)
    array = unmasked(image)
    if array.ndim not in (3, 4) or array.dtype.kind not in "buif":
        raise UserError(
            f"a volume is an array (Z, H, W) or (Z, H, W, C) of numbers, not {array.dtype} of "
            f"shape {array.shape}"
        )
    if array.ndim == 3 and array.shape[2] in (3, 4) and min(array.shape[:2]) >= COLORS_FROM:
        raise UserError(
            f"an array of shape {array.shape} looks like an image in color, and the model is of "
            "volumes: give (Z, H, W) or (Z, H, W, C)"
        )
    return (array[..., None] if array.ndim == 3 else array), "the volume"


def unmasked(image: object) -> np.ndarray:
    """An array as NumPy has it.

    Raises:
        UserError: some of its pixels are masked, or NumPy cannot take it.
    """
    if np.ma.is_masked(image):
        raise UserError(
            "the array has masked pixels, which would be taken as they are stored: give "
            "array.filled(0), or with another value that is background"
        )
    try:
        return np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:
        # One of CuPy, one of torch that needs gradients or is on a GPU, rows of several lengths.
        said = str(error).split(". ")[0].rstrip(".")
        kind = f"{type(image).__module__}.{type(image).__qualname__}"
        raise UserError(
            f"NumPy cannot take the image, of {kind} ({said}): give a NumPy array, of a tensor "
            "tensor.detach().cpu().float().numpy()"
        ) from error


def _tell_remark(path: Path) -> None:
    if remark := vendor_remark(path):
        warnings.warn(ImageWarning(remark, str(path)), stacklevel=4)


def is_grey(pixels: np.ndarray) -> bool:
    """Whether (*S, C) pixels are RGB or RGBA whose colors are equal everywhere."""
    if pixels.shape[-1] not in (3, 4):
        return False
    return bool((pixels[..., 1:3] == pixels[..., :1]).all())
