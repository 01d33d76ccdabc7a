"""Which image of a file is read: the only one, in full resolution, or what is asked for.

A file may hold several: scenes, positions, pages, a thumbnail. None is taken in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from spatialembed.errors import UserError

_NAMED = 6
"""Images that a sentence names at most."""


class Which(NamedTuple):
    """What is read of a file.

    Attributes:
        series: number of the image, from 0; None for the only one.
        level: which of its resolutions, from 0, the full one, down.
        channels: numbers of those that are kept, in this order, from 0; none of them for all.
    """

    series: int | None = None
    level: int = 0
    channels: tuple[int, ...] = ()

    def told(self) -> dict[str, Any]:
        """What is asked for, as JSON has it; None for what is not."""
        channels = list(self.channels) or None
        return {"series": self.series, "level": self.level or None, "channel": channels}

    def channels_of(self, path: Path, array: np.ndarray) -> np.ndarray:
        """The channels asked for, of an array (*S, C); raises as :meth:`require_channels`."""
        self.require_channels(path, array.shape[-1])
        return array[..., list(self.channels)] if self.channels else array

    def require_channels(self, path: Path, count: int) -> None:
        """Refuse an image, of ``count`` channels, that has not those asked for.

        Raises:
            UserError: it lacks one.
        """
        for channel in self.channels:
            if not 0 <= channel < count:
                held = "one channel" if count == 1 else f"{count} channels"
                raise UserError(
                    f"{path} has no channel {channel}: it has {held}, counted from 0; choose "
                    "another --channel"
                )

    def require_level(self, path: Path, count: int) -> None:
        """Refuse an image, of ``count`` resolutions, that has not the one asked for.

        Raises:
            UserError: it lacks it.
        """
        if not 0 <= self.level < count:
            held = "one resolution" if count == 1 else f"{count} resolutions"
            raise UserError(
                f"{path} has no level {self.level}: it gives its image in {held}, counted from 0, "
                "the full one; choose another --level, or leave it out"
            )


Series: TypeAlias = "Which | int | None"
"""What is read of a file, or which image alone, from 0; None for the only one, whole."""


def which(series: Series) -> Which:
    """The same, spelled out."""
    return series if isinstance(series, Which) else Which(series)


@dataclass(frozen=True)
class Held:
    """One of the images that a file holds.

    Attributes:
        height, width: in pixels; 0 where that was not looked at.
        name: that the file gives it.
        aside: the file says that it is none of its own: a reduced copy, a slide's label.
        page: one of several planes of which the file does not say what they are.
        own: the file says that it is no copy of another, whatever its size.
        number: by which the file calls it, where that need not be its place among them.
        wrong: a sentence that says why it cannot be read; empty where it can.
    """

    height: int = 0
    width: int = 0
    name: str = ""
    aside: bool = False
    page: bool = False
    own: bool = False
    number: int | None = None
    wrong: str = ""

    def copies(self, other: Held) -> bool:
        """Whether its size is that of a smaller copy of another image."""
        if (
            self.own
            or not 0 < 2 * self.width <= other.width + 1
            or not 0 < self.height < other.height
        ):
            return False
        return abs(self.height - other.height * self.width / other.width) <= 1


class Header(NamedTuple):
    """What a file says of itself; not a pixel is read for it.

    Attributes:
        size: height and width of the image that is read, as it is looked at.
        orientation: how it is turned for that, from 1 (not) to 8.
        held: all images of the file.
        number: place among them of the one that is read.
        channels: of a pixel, where the header alone says it.
    """

    size: tuple[int, int]
    orientation: int
    held: Sequence[Held]
    number: int
    channels: int | None = None


def take(path: Path, held: Sequence[Held], series: int | None) -> int:
    """Place, from 0, of the image that is read.

    Args:
        path: the file.
        held: its images.
        series: the number asked for, from 0; None for the only one that is an image of its own.

    Raises:
        UserError: no such number, several images and none asked for, or one that cannot be read.
    """
    own = _own(held) if series is None else _numbered(path, held, series)
    whole = [place for place in _own(held) if not held[place].wrong]
    first = held[own[0]]
    if first.wrong and (len(own) == 1 or not whole):
        instead = f", or predict what can be read: {_listed(held, whole)}" if whole else ""
        raise UserError(first.wrong + instead)
    if len(own) == 1:
        return own[0]
    if first.page and all(held[number] == first for number in own):
        raise UserError(
            f"{path} is a stack of {len(own)} planes of {first.width}x{first.height} pixels that "
            "does not say what they are: if they are the channels of one image, store it with its "
            "axes (tifffile: metadata={'axes': 'CYX'}; ImageJ: as a hyperstack with channels); if "
            "they are planes in z, predict it with --stitch or by a model of volumes; if they are "
            "images, store each as a file, or predict one with --series N"
        )
    some = "" if len(whole) == len(own) else f", of which {_listed(held, whole)} alone can be read"
    raise UserError(
        f"{path} holds {_count(own)} ({_listed(held, own)}){some}; predict one of them with "
        "--series N, and for training store each as a file"
    )


def beside(header: Header) -> str | None:
    """A sentence about the images of a file that are left out; None for none."""
    others = [number for number in range(len(header.held)) if number != header.number]
    if not others:
        return None
    return (
        f"holds further images, which are left out: {_listed(header.held, others)}; taken is "
        f"{_listed(header.held, [header.number])} (predict another with --series N)"
    )


def _numbered(path: Path, held: Sequence[Held], series: int) -> list[int]:
    numbers = [_number(held, place) for place in range(len(held))]
    if series in numbers:
        return [numbers.index(series)]
    gaps = numbers != list(range(len(held)))
    which_ones = f" ({_listed(held, range(len(held)))})" if gaps else ", counted from 0"
    raise UserError(
        f"{path} has no series {series}: it holds {_count(held)}{which_ones}; choose another "
        "--series, or leave it out"
    )


def _number(held: Sequence[Held], place: int) -> int:
    number = held[place].number
    return place if number is None else number


def _own(held: Sequence[Held]) -> list[int]:
    """Places of the images that are neither aside nor smaller copies of the largest."""
    own = [number for number, one in enumerate(held) if not one.aside] or list(range(len(held)))
    largest = max((held[number] for number in own), key=lambda one: one.height * one.width)
    return [number for number in own if not held[number].copies(largest)]


def _count(some: Sequence[object]) -> str:
    return "one image" if len(some) == 1 else f"{len(some)} images"


def _listed(held: Sequence[Held], places: Sequence[int]) -> str:
    told = []
    for place in places[:_NAMED]:
        one = held[place]
        size = [f"{one.width}x{one.height}"] if one.width else []
        told.append(" ".join([f"series {_number(held, place)}", *filter(None, [one.name]), *size]))
    return ", ".join(told) + (f" and {len(places) - _NAMED} more" if len(places) > _NAMED else "")
