"""What goes wrong in reading a file, as one sentence that names it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from spatialembed.errors import UserError

AN_IMAGE = (
    "give an image to a model of images, without --stitch, and the planes of a stack in a folder "
    "of their own, of one size and named such as z001.tif, z002.tif"
)
"""What to do with a file that is no stack."""


def in_place_of_a_stack(letters: str) -> str:
    """What to do with a TIFF of such axes, where a stack, or of several times an image, is read."""
    by = "tifffile: metadata={'axes': 'ZYX'}; ImageJ: as a hyperstack with slices"
    if letters == "SYX":
        by = "tifffile takes three or four planes for colors without metadata={'axes': 'ZYX'}"
    if letters in ("CYX", "SYX"):
        return f"if its channels are planes in z, store it so ({by}); else {AN_IMAGE}"
    if set(letters) <= set("YXCS"):
        return AN_IMAGE
    return (
        f"store times as separate files, images and masks alike, and planes with their axes ({by})"
    )


A_TIFF = (
    "store it as a TIFF stack that states its spacing in micrometres (ImageJ, or tifffile: "
    "imagej=True, resolution=(1 / x, 1 / y), metadata={'axes': 'ZYX', 'spacing': z, 'unit': 'um'})"
)
"""What to do with a stack in another format, such as NIfTI, NRRD and NumPy's."""

# What tifffile logs of odd files is said in our sentence, or is nothing that a user can act on.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@contextmanager
def told(wrong: str, remedy: str, named: bool = False) -> Iterator[None]:
    """Whatever goes wrong, of whatever library, as a UserError: ``wrong (reason); remedy``.

    Args:
        wrong: the first words, which name the file.
        remedy: the last ones.
        named: whether the kind of the error is said too.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # every codec, store and damage has errors of its own
        kind = f"{type(error).__name__}: " if named else ""
        raise UserError(f"{wrong} ({kind}{reason(error)}); {remedy}") from error


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever goes wrong in decoding ``path`` as a UserError."""
    remedy = "it may be truncated or of another format: replace it"
    with told(f"{path} cannot be read as an image", remedy):
        try:
            yield
        except (MemoryError, Image.DecompressionBombError) as error:
            raise too_large(path) from error


def reason(error: BaseException) -> str:
    """The first line of what an error says, or its name where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def too_large(path: Path) -> UserError:
    """The error for an image that is not read whole."""
    return UserError(
        f"{path} is too large to be read at once; predict it in parts, with --out "
        "labels.zarr, or a lower resolution by --level; what is stored in one piece, store as "
        "OME-Zarr or as a tiled TIFF first"
    )


def lossy(path: Path, coding: str = "") -> UserError:
    """The error for a label mask in a coding that invents ids, or may."""
    what = f"the lossy coding {coding}" if coding else "a lossy format"
    return UserError(
        f"{path} is in {what}, which changes ids; store label masks as PNG, or as TIFF with "
        "deflate or LZW"
    )
