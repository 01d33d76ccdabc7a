"""How stored pixel values become the numbers a network sees; travels inside the model file.

Normalisation lives with the model, so that training, prediction and export cannot disagree and
nobody normalises by hand. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from spatialembed.errors import UserError
from spatialembed.files.described import filled
from spatialembed.files.pixel_values import Values, side_by_side, values_of
from spatialembed.models.percentiles import counted, is_counted, percentiles

Kind = Literal["range", "percentile", "mean-std", "none"]

PERCENTILE_CLIP = (-1.0, 4.0)
"""Bounds of a percentile-normalised image: a hot pixel must not outweigh the whole crop."""

MOST_SIDE = 4096
"""Longest side of an image whose percentiles are those of all its pixels; see :func:`sampled`."""

SAMPLES, SAMPLE_SIDE = 16, 256
"""Of a longer side: number of parts that are sampled, and their length in pixels."""

_Scale: TypeAlias = "npt.NDArray[np.float64] | float | None"
"""Of one image: (C, 2) what becomes 0 and 1 of each channel, or what becomes 1 of all."""

Normalize = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]
"""From stored pixels (..., C) to float32."""


class Windows(Protocol):
    """An image that is read by windows, such as
    :class:`~spatialembed.data.images.windows.WindowedImage`.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self, *window: slice) -> npt.NDArray[Any]: ...


def sampled(shape: Sequence[int]) -> list[tuple[slice, slice]]:
    """Windows of an image of ``shape`` (H, W) that its percentiles are taken from.

    A side of up to 4096 pixels is taken whole, of a longer one 16 evenly spaced parts of 256: an
    image of any size is judged by at most 4096 x 4096 of its own pixels, at full resolution, and
    whoever reads it, whole or by windows, takes the same ones.
    """
    rows, columns = ([slice(0, n)] if n <= MOST_SIDE else _parts(n) for n in shape)
    return [(row, column) for row in rows for column in columns]


def _parts(length: int) -> list[slice]:
    starts = (k * (length - SAMPLE_SIDE) // (SAMPLES - 1) for k in range(SAMPLES))
    return [slice(start, start + SAMPLE_SIDE) for start in starts]


@dataclass(frozen=True)
class Normalization:
    """Turns an image as stored into float32 network input.

    Attributes:
        kind: "range": divided by what is white, so that images of any type end in [0, 1] (the
            papers' Cityscapes recipe). White is ``white``, unless the image fills its type (255
            of uint8, 65535 of uint16, 1 of floats and bools) or goes beyond: then the full scale
            of its own depth; see :mod:`spatialembed.files.pixel_values`.
            "percentile": per image and channel, ``low`` to ``high`` percentile become 0 to 1,
            clipped to [-1, 4]; a constant channel becomes 0. Of an image with a side above 4096
            pixels they are those of a sample; see :func:`sampled`.
            "mean-std": stored values, minus ``mean``, divided by ``std``, fixed per channel.
            "none": stored values as float32.
        low, high: percentiles, 0 <= low < high <= 100; used by "percentile".
        mean, std: one value per channel in stored units, std > 0; used by "mean-std".
        white: full scale of the training images, such as 4095 of a camera of 12 bits; used by
            "range", and to notice other images by "none". None: not known.

    Raises:
        UserError: a value outside these bounds.
    """

    kind: Kind = "range"
    low: float = 1.0
    high: float = 99.8
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    white: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(m) for m in self.mean))
        object.__setattr__(self, "std", tuple(float(s) for s in self.std))
        if self.kind not in get_args(Kind):
            raise UserError(
                f"normalization kind {self.kind!r} is not one of {', '.join(get_args(Kind))}"
            )
        if not 0 <= self.low < self.high <= 100:
            raise UserError(
                f"normalization percentiles must satisfy 0 <= low < high <= 100, "
                f"not low={self.low}, high={self.high}"
            )
        if len(self.mean) != len(self.std) or (self.kind == "mean-std" and not self.mean):
            raise UserError(
                "normalization 'mean-std' needs one mean and one std per channel, "
                f"not {len(self.mean)} and {len(self.std)}"
            )
        if not np.isfinite(self.mean).all() or not all(0 < s < np.inf for s in self.std):
            raise UserError("normalization means must be finite and standard deviations positive")
        if self.white is not None and not 0 < self.white < np.inf:
            raise UserError(f"normalization white must be a positive value, not {self.white}")

    def __call__(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Normalise one image.

        Args:
            image: (*spatial, C) bool, integer or float. NaN and infinite pixels become 0 in the
                result and take no part in percentiles; :func:`noticed` counts them.

        Returns:
            (*spatial, C) float32, a new array.

        Raises:
            UserError: not numbers, or another number of channels than ``mean`` has.
        """
        if image.dtype.kind not in "buif":
            raise UserError(f"an image must hold real numbers, not {image.dtype}")
        return self._apply(image, self._scale(parts_of(image)))

    def fixed(self, image: Windows) -> Normalize:
        """The normalisation of one image, to be applied to any part of it.

        A part comes out as it does in the normalised whole, bit for bit. Reads at most
        4096 x 4096 pixels, those of :func:`sampled`, and only where percentiles need them.

        Args:
            image: shape (H, W), and read(rows, columns) giving (h, w, C) as stored.

        Returns:
            What takes (h, w, C) pixels as stored and gives (h, w, C) float32, as calling this
            object does.
        """
        if self.kind not in ("percentile", "range"):
            return self
        corner = image.read(slice(0, 1), slice(0, 1))
        if self.kind == "range" and corner.dtype.itemsize == 1:
            return partial(self._apply, scale=self._scale([corner]))
        windows = [image.read(*window) for window in sampled(image.shape)]
        return partial(self._apply, scale=self._scale(windows))

    def counted(self, counts: npt.NDArray[np.int64]) -> Normalize:
        """As :meth:`fixed`, by "percentile", of an image of unsigned integers.

        Args:
            counts: (C, V) how many pixels have each value, of one that :func:`sampled` takes whole.
        """
        assert self.kind == "percentile"
        scale = np.array([percentiles(count, (self.low, self.high)) for count in counts])
        return partial(self._apply, scale=scale)

    def white_of(self, values: Values) -> float:
        """What becomes 1, by "range", of an image of these values."""
        known = self.white
        given = values.fills_type or values.white == 1  # by the type, or of no known range
        return values.white if known is None or given or values.white > known else known

    def _scale(self, parts: Sequence[npt.NDArray[Any]]) -> _Scale:
        """Of an image, by these parts: what becomes 0 and 1, or what white is."""
        if self.kind == "percentile":
            return self._percentiles(parts)
        return self.white_of(values_of(parts)) if self.kind == "range" else None

    def _percentiles(self, parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """(C, 2): what becomes 0 and 1 of each channel; NaN where there is no finite value."""
        bounds = np.full((parts[0].shape[-1], 2), np.nan)
        for channel in range(len(bounds)):
            planes = [part[..., channel].ravel() for part in parts]
            size = sum(plane.size for plane in planes)
            if is_counted(planes[0].dtype) and 0 < size < 2**31:
                bounds[channel] = percentiles(counted(planes), (self.low, self.high))
                continue
            values = np.concatenate(planes)
            if values.dtype.kind == "u" and values.itemsize <= 4 and values.size:
                # As they are: the same numbers, sooner.
                bounds[channel] = np.percentile(values, (self.low, self.high))
                continue
            finite = values[np.isfinite(values)]
            if finite.size:
                bounds[channel] = np.percentile(finite.astype(np.float64), (self.low, self.high))
        return bounds

    def _apply(self, image: npt.NDArray[Any], scale: _Scale) -> npt.NDArray[np.float32]:
        few = image.dtype == np.uint8 or (image.dtype == np.uint16 and image.size >= 4 * 2**16)
        if not few:
            return self._computed(image, scale)
        # There are fewer values than pixels: looked up, several times faster.
        table = self._computed(every_level(image.dtype, image.shape[-1]), scale)
        result = np.empty(image.shape, np.float32)
        for channel, values in enumerate(table.T):
            result[..., channel] = values.take(image[..., channel])
        return result

    def _computed(self, image: npt.NDArray[Any], scale: _Scale) -> npt.NDArray[np.float32]:
        if isinstance(scale, np.ndarray):
            result = _between(image, scale)
        elif self.kind == "mean-std":
            result = self._standardized(image)
        elif scale is not None and scale != 1:  # above white there are only hot pixels
            result = np.minimum(_as_float32(image) / np.float32(scale), np.float32(1))
        else:
            result = _as_float32(image)
        result[~np.isfinite(result)] = 0
        if image.dtype.kind == "f":
            result[~np.isfinite(image)] = 0
        return result

    def _standardized(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        if image.shape[-1] != len(self.mean):
            raise UserError(
                f"normalization has means for {len(self.mean)} channels, "
                f"the image has {image.shape[-1]}"
            )
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        with np.errstate(over="ignore"):  # infinite, and then 0
            return (_as_float32(image) - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-able values; :meth:`from_dict` is the inverse."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Normalization:
        """Build from :meth:`to_dict`'s values; missing keys take their defaults.

        Raises:
            UserError: an unknown key, or a value out of bounds.
        """
        return filled(cls, values, "normalization")


def every_level(dtype: np.dtype[Any], channels: int) -> npt.NDArray[Any]:
    """(V, C) all values of an unsigned integer type, from 0 on, in each channel."""
    values = np.arange(2 ** (8 * dtype.itemsize)).astype(dtype)
    return values[:, None].repeat(channels, 1)


def parts_of(image: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """What of an image (*spatial, C) it is judged by; of a volume its planes side by side."""
    image = side_by_side(image) if image.ndim == 4 else image
    windows = sampled((image.shape[0], image.shape[1])) if image.ndim == 3 else [()]
    return [image[window] for window in windows]


def _as_float32(image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and then 0
        return image.astype(np.float32)


def _between(image: npt.NDArray[Any], bounds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Each channel with its bounds at 0 and 1, clipped; 0 where they do not differ."""
    result = np.zeros(image.shape, np.float32)
    for channel, (bottom, top) in enumerate(bounds):
        values = image[..., channel]
        if top > bottom:
            with np.errstate(invalid="ignore", over="ignore"):
                scaled = (values.astype(np.float64) - bottom) / (top - bottom)
            result[..., channel] = np.clip(scaled, *PERCENTILE_CLIP)
    return result
