"""What the training images' values say, before the first step: what is white, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from spatialembed.data.data_set import FileDataSet
from spatialembed.files.pixel_values import Values, values_of
from spatialembed.models.normalization import Normalization, parts_of, sampled
from spatialembed.models.noticed import range_noticed

LOOKED_AT = 64
"""Images, evenly spaced, that are looked at first; all are where these leave a doubt."""


def look_at_values(
    normalization: Normalization, data: FileDataSet
) -> tuple[Normalization, list[str]]:
    """A normalisation that knows what is white in the training images, and what to tell of them.

    Args:
        normalization: "range" and "none" depend on the images' range; others are returned as
            they are, and no image is read.
        data: the training images.

    Returns:
        The normalisation, its ``white`` set where it was not, and sentences for a person.
    """
    if normalization.kind not in ("range", "none"):
        return normalization, []
    values = _values(data)
    if normalization.white is None:
        normalization = replace(normalization, white=max(v.white for v in values))
    return normalization, list(_told(normalization, values))


def _values(data: FileDataSet) -> list[Values]:
    first = {round(i) for i in np.linspace(0, len(data) - 1, min(LOOKED_AT, len(data)))}
    values = {i: _values_of(data, i) for i in sorted(first)}
    if not all(v.fills_type for v in values.values()):
        values |= {i: _values_of(data, i) for i in range(len(data)) if i not in first}
    return list(values.values())


def _values_of(data: FileDataSet, i: int) -> Values:
    large = data.large(i)
    if large is None:
        return values_of(parts_of(data[i].image))
    return values_of([large.image.read(*window) for window in sampled(large.image.shape)])


def _told(normalization: Normalization, values: Iterable[Values]) -> Iterable[str]:
    values = list(values)
    kinds = Counter((str(v.dtype), v.white) for v in values)
    if len(kinds) > 1:
        found = ", ".join(f"{n} of {dtype} up to {white:g}" for (dtype, white), n in kinds.items())
        yield f"the images have several ranges: {found}"
    guessed = [v for v in values if not v.fills_type]
    if guessed and normalization.kind == "range":
        brightest = max(guessed, key=lambda v: v.high)
        yield (
            f"{len(guessed)} of {len(values)} images do not fill their type ({brightest.words}, "
            f"for one): {normalization.white_of(brightest):g} is taken as white, also of images "
            "to come; --normalization percentile goes by each image's own values"
        )
    unlike = [note for v in values if (note := range_noticed(normalization, v)) is not None]
    if unlike and not guessed:
        yield f"{unlike[0]} ({len(unlike)} of {len(values)} images)"
    if lost := [v.not_finite for v in values if v.not_finite]:
        yield (
            f"{len(lost)} images have pixels that are NaN or infinite ({sum(lost)} in all), which "
            "become 0; `spatialembed check` names them"
        )
