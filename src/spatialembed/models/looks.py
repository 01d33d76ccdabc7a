"""What images look like, and what a network makes of them: by which a model knows its own kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spatialembed.errors import UserError

MOST = (0.02, 0.98)
"""Quantiles between which most images lie."""

VOTES = 2
"""Traits in which an image is unusual before it counts as one of another kind."""

Range = tuple[float, float]


class Look(NamedTuple):
    """Traits of one image and of what was found in it; None where there is nothing to tell by."""

    ground: float
    """Brightness below which a quarter of the pixels lie, as the network sees them, mostly 0 to 1.
    """
    light: float
    """Brightness below which three quarters lie."""
    color: float
    """Mean over pixels of the difference between the highest and the lowest channel."""
    contrast: float | None
    """How often a pixel of an object is brighter than one of none: 1 always, 0 never."""
    undecided: float | None
    """Of pixels with a seed score above .1, the share below .9."""
    sureness: float | None
    """Mean seed score of the pixels of objects."""


@dataclass(frozen=True)
class Looks:
    """Lowest and highest of most images of a kind, trait by trait; see :class:`Look`.

    Attributes:
        images: how many were looked at.

    Raises:
        UserError: no image, or a range that is none.
    """

    images: int
    ground: Range
    color: Range
    contrast: Range | None = None
    undecided: Range | None = None
    sureness: Range | None = None

    def __post_init__(self) -> None:
        ranges = [self.usual(trait) for trait in TRAITS]
        if self.images < 1 or not all(-math.inf < r[0] <= r[1] < math.inf for r in ranges if r):
            raise UserError("looks are of one image or more, from a lowest to a highest value")

    @classmethod
    def of(cls, looks: Sequence[Look]) -> Looks:
        """Those of some images."""
        ranges = {trait: _most(trait, looks) for trait in TRAITS}
        return cls(len(looks), **ranges)  # type: ignore[arg-type]  # ground and color are never None

    def usual(self, trait: str) -> Range | None:
        """Lowest and highest of most images."""
        usual: Range | None = getattr(self, trait)
        return usual

    def unusual(self, look: Look) -> list[str]:
        """Traits of an image that lie outside of what is usual, by a margin.

        That is half the width of the usual range, and 1 / images: few images leave much unseen.
        More certainty than is usual does not count.
        """
        return [trait for trait in TRAITS if self._is_unusual(trait, getattr(look, trait))]

    def _is_unusual(self, trait: str, value: float | None) -> bool:
        usual = self.usual(trait)
        if usual is None or value is None:
            return False
        margin = (usual[1] - usual[0]) / 2 + 1 / self.images
        low, high = usual[0] - margin, usual[1] + margin
        return (value < low and trait != "undecided") or (value > high and trait != "sureness")


TRAITS = ("ground", "contrast", "color", "sureness", "undecided")
"""Those that are compared."""


def _most(trait: str, looks: Sequence[Look]) -> Range | None:
    values = [value for look in looks if (value := getattr(look, trait)) is not None]
    if not values:
        return None
    low, high = np.quantile(values, MOST)
    return round(float(low), 4), round(float(high), 4)
