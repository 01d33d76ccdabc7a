"""An image that a model may be tried on: its objects are as wide and as dark as in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from spatialembed.models.looks import Looks
    from spatialembed.models.spec import ModelSpec

DIAMETER = 21.0
"""Of objects, of models that do not say how wide theirs were."""


def sample_image(spec: ModelSpec, diameter: float | None, side: int = 256) -> np.ndarray:
    """Blurred ellipses apart from each other, with noise; the same at every call.

    Args:
        spec: of a model of images: its channels, and whether its objects are bright or dark.
        diameter: mean of the objects', in pixels.
        side: of the image; wider where fewer than four objects would lie side by side.

    Returns:
        (side, side, C) uint8.
    """
    rng, width = np.random.default_rng(0), diameter or DIAMETER
    side = max(side, round(4 * width))
    grid = np.indices((side, side)).astype(np.float64)
    light, taken = np.zeros((side, side)), np.zeros((side, side), bool)
    for _ in range(2 * round(side / width) ** 2):
        center, turn = rng.uniform(0, side, 2), rng.uniform(0, np.pi)
        y, x = grid - center[:, None, None]
        long, short = width / 2 * rng.uniform(1, 1.3), width / 2 * rng.uniform(0.75, 1)
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        far = (along / long) ** 2 + (across / short) ** 2
        if not (taken & (far < 1.3)).any():
            taken |= far < 1
            light[far < 1] = rng.uniform(0.5, 1)
    light = 0.1 + 0.8 * ndimage.gaussian_filter(light, 1) + rng.normal(0, 0.01, light.shape)
    light = 1 - light if _are_dark(spec.training.get("looks")) else light
    shown = (light.clip(0, 1) * 255).astype(np.uint8)
    return np.repeat(shown[..., None], spec.in_channels, axis=2)


def _are_dark(looks: Looks | dict[str, list[float]] | None) -> bool:
    """Whether pixels of objects are mostly darker than others."""
    if looks is None:
        return False
    contrast = looks.get("contrast") if isinstance(looks, dict) else looks.contrast
    return contrast is not None and sum(contrast) < 1
