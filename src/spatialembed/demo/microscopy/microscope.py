"""What a confocal microscope makes of light: blur and dimness that grow with depth, and noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from spatialembed.demo.microscopy.tissue import smooth_noise

_CLOUDY = 15.0
"""Micrometres of tissue after which 1 - 1/e of the harm that depth can do is done."""

_PLANE_BLUR, _DEPTH_BLUR = (0.09, 0.27), (0.32, 0.85)
"""Standard deviations of the point spread in micrometres, at the top and at any depth."""

_PHOTONS = 55.0
"""Of a pixel of a nucleus of brightness 1 at the top."""

_OFFSET, _GAIN, _READ_NOISE, _WHITE = 110.0, 14.0, 9.0, 4095
"""Counts of no light, a photon and the noise of reading, and the most of 12 bits."""


def photograph(light: np.ndarray, spacing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Look at a volume from above, plane 0 first.

    Args:
        light: (Z, Y, X) float32, what shines, about 1 where it is bright.
        spacing: (3,) micrometres from pixel to pixel.

    Returns:
        (Z, Y, X) uint16, counts of 12 bits.
    """
    cloud = cloudiness(len(light), spacing)
    glow = 0.11 * np.exp(0.4 * smooth_noise(light.shape, 2.5 / spacing, rng))
    seen = blur(light + glow, spacing) * (1 - 0.75 * cloud)[:, None, None]
    counts = _OFFSET + _GAIN * rng.poisson(_PHOTONS * seen)
    counts += rng.normal(0, _READ_NOISE, light.shape)
    return np.asarray(np.clip(np.rint(counts), 0, _WHITE), np.uint16)


def cloudiness(planes: int, spacing: np.ndarray) -> np.ndarray:
    """(Z,) float64 from 0 at the top towards 1: how much of depth's harm each plane suffers."""
    return np.asarray(1 - np.exp(-np.arange(planes) * spacing[0] / _CLOUDY))


def blur(light: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Spread light (Z, Y, X) in each plane as that plane's depth has it, more in z than in it."""
    cloud = cloudiness(len(light), spacing)
    plane = np.interp(cloud, (0, 1), _PLANE_BLUR)
    depth = np.interp(cloud, (0, 1), _DEPTH_BLUR)
    z = np.arange(len(light)) * spacing[0]
    weights = np.exp(-0.5 * ((z[:, None] - z) / depth[:, None]) ** 2)
    weights /= weights.sum(1, keepdims=True)
    # Not by BLAS, which may round otherwise with another number of threads.
    spread = np.einsum("ij,jyx->iyx", weights.astype(np.float32), light)
    for k, sigma in enumerate(plane):
        spread[k] = ndimage.gaussian_filter(spread[k], sigma / spacing[1:])
    return np.asarray(spread)
