"""Pictures of images, instances and raw outputs: arrays in, (H, W, 3) uint8 RGB out.

Bottom layer, so that training and reports draw with the same hand: numpy and pillow only.
"""

from spatialembed.pictures.colors import colors_of_objects, distinct_colors, to_rgb
from spatialembed.pictures.cuts import cuts, fullest, step_of
from spatialembed.pictures.explanation import VIEWS, Explanation, explain, found_seeds
from spatialembed.pictures.fullest_plane import Shown, shown
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

__all__ = [
    "VIEWS",
    "Explanation",
    "Judgement",
    "Shown",
    "Tile",
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
    "shown",
    "step_of",
    "to_rgb",
    "verdict_key",
]
