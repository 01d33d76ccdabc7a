"""Images and volumes whose pixels are unlike those that a model was trained on, by their files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spatialembed.data.images.spacing import ALIKE, in_words, side_of, unlike
from spatialembed.errors import ImageWarning

if TYPE_CHECKING:
    from spatialembed.inference.sight import Sight


def other_voxels(spacing: Sequence[float] | None, model: Sight) -> list[str]:
    """A note where objects of a volume look unlike those of training for its voxels alone.

    Of other proportions they look flatter or longer; where the files of training stated
    micrometres, and not the option ``spacing`` numbers in proportion, of other sizes they look
    larger or smaller, too. A diameter changes the planes alone, so it mends what differs in them.
    Of images, where pixels are no squares and so are not shown as large as those of training,
    whatever diameter was given.

    Args:
        spacing: along (z, y, x) of the volume, of an image (y, x); None where its file does not
            state it.
        model: at the size at which it sees it.
    """
    if model.spec.dims == 2:
        return _no_squares(spacing, model)
    spec, trained = model.spec, model.spec.spacing
    if spacing is None or trained is None:
        return []
    z, y, x = spacing
    z /= model.depth_ratio
    ratio, measured = model.size_ratio, spec.training.get("spacing_stated", False)
    both = f"its voxels are {in_words((spacing[0], y, x))}, those of training {in_words(trained)}"
    if unlike((z, y / ratio, x / ratio), trained):
        in_planes = _is_one(z / trained[0]) and _is_one(y / trained[1] / (x / trained[2]))
        if measured and in_planes and spec.object_diameter is not None:
            wide = spec.object_diameter * trained[2] / x
            return [
                f"{both}: where its objects are as large as those, say --diameter {wide:.3g}, by "
                "which its planes are shown as those were"
            ]
        return [
            f"{both}, so that objects look flatter or longer than the model knows them: resample "
            "it to such proportions"
        ]
    larger = trained[2] / (x / ratio)
    if not measured or _is_one(larger):
        return []
    return [
        f"{both}: objects of one size look {larger:.2g} times as large in it, so resample it to "
        "such voxels, unless its objects are as many voxels wide and deep as those"
    ]


def tell_other_voxels(spacing: Sequence[float] | None, model: Sight, name: str) -> None:
    """Warn of them, of an image of that name."""
    for note in other_voxels(spacing, model):
        warnings.warn(ImageWarning(note, name), stacklevel=3)


def _no_squares(size: Sequence[float] | None, model: Sight) -> list[str]:
    if size is None or side_of((size[-2], size[-1])) is not None:
        return []
    unless = "" if model.spec.pixel_size else ", unless images of training had such pixels"
    return [
        f"its pixels are {size[-2]:.3g} µm high and {size[-1]:.3g} wide, no squares, so that "
        f"objects look flatter or longer than the model knows them{unless}: resample it to "
        "squares, or give --pixel_size where its file is wrong"
    ]


def _is_one(ratio: float) -> bool:
    return abs(ratio - 1) <= ALIKE
