"""Pictures of images, instances and raw outputs: arrays in, (H, W, 3) uint8 RGB out.

Bottom layer, so that training and reports draw with the same hand: numpy and pillow only.
"""

from spatialembed.pictures.colors import colors_of_objects, distinct_colors, to_rgb
from spatialembed.pictures.cuts import cuts
from spatialembed.pictures.explanation import VIEWS, Explanation, explain, found_seeds
from spatialembed.pictures.outputs import (
    bandwidth_ellipses,
    embedding_space,
    offset_wheel,
    seed_picture,
)
from spatialembed.pictures.overlays import (
    Judgement,
    found_against_truth,
    judge,
    outlines,
    overlay,
    verdict_key,
)
from spatialembed.pictures.panels import Tile, data_address, panel, save_picture
from spatialembed.pictures.planes import Plane, fullest
from spatialembed.pictures.volume_explanation import PlaneExplanation, VolumeExplanation

__all__ = [
    "VIEWS",
    "Explanation",
    "Judgement",
    "Plane",
    "PlaneExplanation",
    "Tile",
    "VolumeExplanation",
    "bandwidth_ellipses",
    "colors_of_objects",
    "cuts",
    "data_address",
    "distinct_colors",
    "embedding_space",
    "explain",
    "found_against_truth",
    "found_seeds",
    "fullest",
    "judge",
    "offset_wheel",
    "outlines",
    "overlay",
    "panel",
    "save_picture",
    "seed_picture",
    "to_rgb",
    "verdict_key",
]
