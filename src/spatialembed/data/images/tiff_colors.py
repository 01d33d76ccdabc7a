"""From the samples of a TIFF to the pixels that are read: alpha, palettes, white that is zero.

What is not turned into grey or RGB without a guess is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from spatialembed.data.images.reading_errors import lossy
from spatialembed.errors import UserError

_PHOTOMETRIC = 262
_PLAIN = ("MINISBLACK", "RGB", "MASK")
_JPEG = (6, 7, 34892, 33007)
"""Codings whose decoder gives RGB for YCbCr."""

LOSSLESS = (
    *("NONE", "CCITTRLE", "CCITTFAX3", "CCITTFAX4", "CCIRLEW", "LZW", "PACKBITS", "NEXT"),
    *("ADOBE_DEFLATE", "DEFLATE", "LZMA", "ZSTD", "ZSTD_DEPRECATED", "PNG", "THUNDERSCAN"),
    *("JBIG_BW", "JBIG_COLOR", "JBIG", "JBIG2"),
)
"""Codings that keep every id, by tifffile's names; others may not."""


@dataclass(frozen=True, eq=False)
class Colors:
    """How stored samples become pixels; :meth:`of` decides.

    Attributes:
        path: of the file.
        kept: channels that are no alpha; None for all.
        alpha: channel by which the colors are multiplied, if there is one.
        opaque: its value where nothing shows through.
        palette: (N, 3) colors of the indices.
        white: what stored values are subtracted from; None to take them as they are.
    """

    path: Path
    kept: list[int] | None = None
    alpha: int | None = None
    opaque: float = 1
    palette: np.ndarray | None = None
    white: int | None = None

    @classmethod
    def of(cls, path: Path, page: tifffile.TiffPage, samples: bool, indices: bool) -> Colors:
        """Of a tifffile page.

        Args:
            path: of the file.
            page: of which all pages of the image are.
            samples: whether its samples are the channels of the image.
            indices: for masks: stored values count, and the coding must be lossless.

        Raises:
            UserError: colors that are not read, or a lossy coding.
        """
        coding = _name(tifffile.COMPRESSION, page.compression)
        photometric = _name(tifffile.PHOTOMETRIC, page.photometric)
        if _PHOTOMETRIC not in page.tags:  # which tifffile takes for white that is 0
            photometric = "MINISBLACK" if indices else "UNKNOWN"
        if indices and coding not in LOSSLESS:
            raise lossy(path, coding)
        bits, kind = int(page.bitspersample), np.dtype(page.dtype).kind
        white = palette = None
        if photometric == "MINISWHITE":
            if (bits == 1 and not _by_tifffile(page)) or (bits > 1 and not indices):
                white = _white(path, bits, kind)
        elif photometric == "PALETTE" and not indices:
            palette = _palette(path, page)
        elif photometric not in (*_PLAIN, "PALETTE") and not (
            photometric == "YCBCR" and page.compression in _JPEG
        ):
            raise UserError(
                f"{path} is a TIFF with colors of the kind {photometric}, which is not read; store "
                "it as grey or RGB"
            )
        kept, alpha = _without_alpha(page) if samples else (None, None)
        return cls(path, kept, alpha, _most(bits, kind), palette, white)

    def channels(self, stored: int) -> int:
        """Channels of a pixel of so many samples."""
        kept = stored if self.kept is None else len(self.kept)
        return kept if self.palette is None else 3

    def dtype(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """Type of a pixel whose samples are of this type, in this machine's byte order."""
        return (stored if self.palette is None else self.palette.dtype).newbyteorder("=")

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """(h, w, C) pixels of samples (h, w, S).

        Raises:
            UserError: colors that were multiplied by an alpha that lets something through.
        """
        if self.alpha is not None and (samples[..., self.alpha] != self.opaque).any():
            raise UserError(
                f"{self.path} has its transparency multiplied into its colors (associated alpha); "
                "store it without alpha"
            )
        pixels = samples if self.kept is None else samples[..., self.kept]
        if self.palette is not None:
            return np.asarray(self.palette[pixels[..., 0]])
        if self.white is not None:
            pixels = ~pixels if pixels.dtype.kind == "b" else (self.white - pixels)
        return pixels.astype(self.dtype(samples.dtype), copy=False)


def _name(names: type[IntEnum], value: int) -> str:
    """Name of a TIFF tag's value; one that tifffile does not know is a plain number."""
    return names(value).name if value in {one.value for one in names} else str(value)


def _by_tifffile(page: tifffile.TiffPage) -> bool:
    """Whether tifffile wrote it, which calls arrays of bool white-is-zero but stores True as 1."""
    return str(page.software).startswith("tifffile")


def _most(bits: int, kind: str) -> float:
    return 1 if kind in "bf" else 2 ** (bits - (kind == "i")) - 1


def _white(path: Path, bits: int, kind: str) -> int:
    """What values are subtracted from where 0 is white; of signed ones, so that the range stays."""
    if kind == "f":
        raise UserError(
            f"{path} says that white is 0, but is of floats, whose black nobody knows; invert its "
            "look-up table (ImageJ: Image > Lookup Tables > Invert LUT) and store it again"
        )
    return -1 if kind == "i" else 2**bits - 1


def _palette(path: Path, page: tifffile.TiffPage) -> np.ndarray:
    """(N, 3) colors: uint8 if that is what the 16 bits of a TIFF's colormap hold, else uint16."""
    if page.colormap is None:
        raise UserError(f"{path} is a TIFF with a palette that is missing; store it as RGB")
    colors = np.ascontiguousarray(np.asarray(page.colormap).T)
    if colors.max() < 256:  # some writers do not scale
        return colors.astype(np.uint8)
    high, low = colors >> 8, colors & 255
    of_8_bits = (low == 0).all() or (low == high).all()
    return high.astype(np.uint8) if of_8_bits else colors


def _without_alpha(page: tifffile.TiffPage) -> tuple[list[int] | None, int | None]:
    """The samples that are no alpha, and which one is multiplied into the others, if any."""
    kinds = [int(kind) for kind in page.extrasamples]
    first = page.samplesperpixel - len(kinds)
    alpha = [first + i for i, kind in enumerate(kinds) if kind in (1, 2)]
    if not alpha or first < 1:
        return None, None
    associated = first + kinds.index(1) if 1 in kinds else None
    return [i for i in range(page.samplesperpixel) if i not in alpha], associated
