"""The geometry of the method, once: where a pixel points, how far an object reaches.

Everything that turns a network's raw output into positions goes through this file: loss,
clustering, pictures. Each function takes numpy arrays or torch tensors and gives back the same
kind, so that clustering needs no torch. Neven et al. 2019, section 3.

A raw output has, per pixel, ``D`` offsets in the order x, y, z, then ``n_sigma`` bandwidths in the
same order, then one seed logit a class. Its spatial axes are the last ``D``, in the order z, y, x.
A network of several targets, such as nuclei and their cells, gives such an output for each, one
after the other: :func:`of_targets`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from spatialembed.errors import UserError

Array: TypeAlias = Any
"""A numpy array or a torch tensor; a function's result is of its argument's kind."""

Pitch = float | Sequence[float]

PITCH: float = 1 / 1024
"""Default distance between two neighbouring pixels, the same on every image whatever its size.

Not a share of the image's side: crops and whole images could not share one geometry then.
"""

SIGMA_RANGE = (-2.0, 2.0)
"""Range bandwidths are clamped to: exp(±20) stays far inside float32, margins from 0.04 px up."""


class Embedded(NamedTuple):
    """A raw output with its geometry applied; axes before the channel as in the output."""

    position: Array
    """(..., D, *spatial) spatial embedding e = x + tanh(offset), order x, y, z."""
    sigma: Array
    """(..., n_sigma, *spatial) bandwidth σ as it came; :func:`clamped` before it is used."""
    seed: Array
    """(..., K, *spatial) seed logits; the seed score is their sigmoid."""


def raw_output(output: object) -> Array:
    """An array or a tensor as it is; what says how NumPy has it, as xarray's and dask's, so.

    Raises:
        UserError: none of these, or one that NumPy cannot take.
    """
    if isinstance(output, np.ndarray) or hasattr(output, "detach"):
        return output
    kind = type(output).__name__
    if not hasattr(output, "__array__"):
        raise UserError(f"a raw output is an array of numpy or torch, not a {kind}")
    try:
        return np.asarray(output)
    except (TypeError, ValueError, RuntimeError) as error:  # as CuPy's, on a GPU
        raise UserError(f"NumPy cannot take the raw output, a {kind}: {error}") from error


def per_axis(pitch: Pitch, dims: int) -> tuple[float, ...]:
    """``pitch`` as one positive number per axis in the order x, y, z.

    Raises:
        ValueError: a wrong number of values, or one that is not positive and finite.
    """
    values = (
        tuple(float(p) for p in pitch) if isinstance(pitch, Sequence) else (float(pitch),) * dims
    )
    if len(values) != dims or not all(p > 0 and math.isfinite(p) for p in values):
        raise ValueError(f"pitch must be one positive number or {dims} of them, not {pitch!r}")
    return values


def pixel_coordinates(
    shape: Sequence[int], pitch: Pitch = PITCH, like: Array | None = None
) -> Array:
    """Coordinates of every pixel of an image of any size, made anew at each call.

    Args:
        shape: spatial shape, in the order (z,) y, x.
        pitch: coordinate step per pixel, one for all axes or one each in the order x, y, z.
        like: array whose kind, float type and device the result takes; float32 numpy if None.

    Returns:
        (D, *shape) with channel 0 the x coordinate, 1 the y, 2 the z.
    """
    dims = len(shape)
    steps = per_axis(pitch, dims)
    coordinates = []
    for axis in range(dims):
        size = shape[dims - 1 - axis]
        line = _arange(size, like) * steps[axis]
        view = [1] * dims
        view[dims - 1 - axis] = size
        coordinates.append(_namespace(like).broadcast_to(line.reshape(view), tuple(shape)))
    return _namespace(like).stack(coordinates)


def embed(
    output: Array,
    n_sigma: int,
    pitch: Pitch = PITCH,
    margin: float | None = None,
    batched: bool = False,
) -> Embedded:
    """Apply the geometry to a raw network output.

    Computed in float32 (float64 stays float64): ``exp(10 σ)`` overflows half precision.

    Args:
        output: (C, *spatial) raw output of the network, or (B, C, *spatial) if ``batched``.
        n_sigma: bandwidth channels: 1 (circular margin) or D (elliptical).
        pitch: coordinate step per pixel, one for all axes or one each in the order x, y, z.
        margin: radius in pixels of a fixed bandwidth (the paper's baseline), which then takes the
            place of the predicted one; None where the bandwidth is learned.
        batched: whether a batch axis comes first.

    Raises:
        ValueError: ``n_sigma`` is neither 1 nor D, or ``output`` has too few channels.
    """
    dims = output.ndim - (2 if batched else 1)
    seed_maps(output, n_sigma, dims)
    output = _full_precision(output)
    steps = per_axis(pitch, dims)
    grid = pixel_coordinates(tuple(output.shape[-dims:]), steps, like=output)
    offset, sigma, seed = _split(output, dims, n_sigma, axis=int(batched))
    position = grid + _namespace(output).tanh(offset)
    if margin is not None:
        sigma = _namespace(output).full_like(sigma, margin_to_sigma(margin, min(steps)))
    return Embedded(position, sigma, seed)


def seed_maps(output: Array, n_sigma: int, dims: int) -> int:
    """How many seed maps a raw output of so many spatial axes has.

    Raises:
        ValueError: as :func:`embed`.
    """
    if n_sigma not in (1, dims):
        raise ValueError(f"n_sigma must be 1 or {dims} for {dims} spatial axes, not {n_sigma}")
    channels: int = output.shape[-dims - 1]
    if channels <= dims + n_sigma:
        raise ValueError(
            f"an output of {channels} channels has no seed map: "
            f"{dims} offsets and {n_sigma} bandwidths come first"
        )
    return channels - dims - n_sigma


def of_targets(output: Array, count: int) -> list[Array]:
    """The raw output (C, *spatial) of each of ``count`` targets, of one (count * C, *spatial)."""
    each = len(output) // count
    return [output[k * each : (k + 1) * each] for k in range(count)]


def concatenated(outputs: Sequence[Array]) -> Array:
    """The inverse of :func:`of_targets`."""
    return _namespace(outputs[0]).concatenate(list(outputs))


def embed_pixels(
    offset: np.ndarray[Any, Any], place: np.ndarray[Any, Any], pitch: Pitch = PITCH
) -> np.ndarray[Any, Any]:
    """What :func:`embed` gives as position, bit for bit, at some pixels only.

    Args:
        offset: (D, N) float32 raw offsets of the pixels, order x, y, z.
        place: (D, N) integer array index of the pixels, in the order (z,) y, x.
        pitch: coordinate step per pixel, one for all axes or one each in the order x, y, z.

    Returns:
        (D, N) float32 embeddings, order x, y, z.
    """
    steps = per_axis(pitch, len(offset))
    position = np.empty(offset.shape, np.float32)
    for d, step in enumerate(steps):
        np.tanh(offset[d], out=position[d])
        position[d] += place[-1 - d].astype(np.float32) * step
    return position


def clamped(sigma: Array) -> Array:
    """Bandwidths within :data:`SIGMA_RANGE`."""
    return _namespace(sigma).clip(sigma, *SIGMA_RANGE)


def inverse_squared_width(sigma: Array) -> Array:
    """Bandwidth s = exp(10 σ) of a clamped σ, the paper's 1 / (2 σ²), per squared coordinate."""
    return _namespace(sigma).exp(10 * sigma)


def scaled_distance(position: Array, center: Array, width: Array, axis: int = 0) -> Array:
    """Σ_d s_d (e_d − C_d)², the exponent of φ, over the coordinate axis ``axis``.

    Args:
        position: embeddings, D long on ``axis``.
        center: object centre, broadcastable against ``position``.
        width: :func:`inverse_squared_width`, 1 or D long on ``axis``, broadcastable.
    """
    return (width * (position - center) ** 2).sum(axis)


def membership(position: Array, center: Array, width: Array, axis: int = 0) -> Array:
    """φ = exp(−Σ_d s_d (e_d − C_d)²) in (0, 1]; a pixel belongs where φ > 0.5 (equation 5)."""
    return _namespace(position).exp(-scaled_distance(position, center, width, axis))


def turn(output: Array, n_sigma: int, quarters: int, mirror: bool) -> Array:
    """Raw output of an image that is turned, then mirrored: its arrows turn with the picture.

    A volume is turned in its planes.

    Args:
        output: (C, *spatial) raw output, of one pitch for x and y.
        n_sigma: bandwidth channels, 1 or one an axis.
        quarters: quarter turns counter-clockwise, as ``numpy.rot90``.
        mirror: whether left and right change places after the turn.
    """
    space, dims = _namespace(output), output.ndim - 1
    turned = _copied(space.rot90(output, quarters, (dims - 1, dims)))
    for _ in range(quarters % 4):  # right becomes up, down becomes right
        turned[:2] = space.stack([turned[1], -turned[0]])
    if quarters % 2 and n_sigma > 1:
        turned[dims : dims + 2] = turned[[dims + 1, dims]]
    if mirror:
        turned = _copied(space.flip(turned, (dims,)))
        turned[0] *= -1
    return turned


def sigma_to_margin(sigma: Array, pitch: float = PITCH) -> Array:
    """Radius in pixels within which φ > 0.5: sqrt(ln 2 / s) / pitch."""
    return _namespace(sigma).exp(-5 * sigma) * (math.sqrt(math.log(2)) / pitch)


def margin_to_sigma(margin: float, pitch: float = PITCH) -> float:
    """σ whose margin is ``margin`` pixels; the inverse of :func:`sigma_to_margin`."""
    if not margin > 0:
        raise ValueError(f"a margin is a positive number of pixels, not {margin}")
    return math.log(math.log(2) / (margin * pitch) ** 2) / 10


def sigmoid(logits: Array) -> Array:
    """Seed score of a seed logit, without overflow at either end."""
    if isinstance(logits, np.ndarray):
        return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))  # exp(89) overflows float32
    return logits.sigmoid()


def _namespace(array: Array | None) -> Any:
    if array is None or isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def _copied(array: Array) -> Array:
    return array.copy() if isinstance(array, np.ndarray) else array.clone()


def _split(output: Array, dims: int, n_sigma: int, axis: int) -> tuple[Array, Array, Array]:
    """Offsets, bandwidths and seed maps. Of a tensor in one operation: one gradient, not three."""
    if isinstance(output, np.ndarray):
        offset, sigma, seed = np.split(output, (dims, dims + n_sigma), axis)
    else:
        sizes = (dims, n_sigma, output.shape[axis] - dims - n_sigma)
        offset, sigma, seed = output.split(sizes, axis)
    return offset, sigma, seed


def _arange(size: int, like: Array | None) -> Array:
    if like is None or isinstance(like, np.ndarray):
        return np.arange(size, dtype=np.float32 if like is None else like.dtype)
    import torch

    return torch.arange(size, dtype=like.dtype, device=like.device)


def _full_precision(output: Array) -> Array:
    if isinstance(output, np.ndarray):
        return output if output.dtype == np.float64 else output.astype(np.float32, copy=False)
    import torch

    return output if output.dtype == torch.float64 else output.float()
