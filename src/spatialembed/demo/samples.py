"""Sample data of the plug-in for napari, drawn by the project's own generators when asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from spatialembed.demo.nuclei import draw_nuclei
from spatialembed.demo.scenes import make_scene
from spatialembed.demo.volumes import SPACING, draw_volume

Layers = list[tuple[np.ndarray, dict[str, Any], str]]
"""What napari takes: pixels, how to show them, "image"."""


def nuclei() -> Layers:
    """(256, 256) uint16, fluorescent nuclei, for the shipped model `nuclei`."""
    image, _ = draw_nuclei(seed=1, side=256, count=120)
    return [(image, {"name": "nuclei"}, "image")]


def street() -> Layers:
    """(512, 1024, 3) uint8, a street scene, as `spatialembed demo` trains on."""
    scene = make_scene(seed=0, number=3, size=(1024, 512))
    return [(scene.image, {"name": "street scene", "rgb": True}, "image")]


def volume() -> Layers:
    """(32, 96, 96) uint16, touching nuclei in a confocal stack, its scale in micrometres."""
    image, _ = draw_volume(seed=1)
    return [(image, {"name": "stack of nuclei", "scale": SPACING}, "image")]
