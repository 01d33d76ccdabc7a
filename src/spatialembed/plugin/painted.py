"""Training from painted images: what is known of them, and the run that learns it.

A painter corrects some objects of an image and leaves the rest. What was not touched is unknown:
it is ignored, neither object nor background.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import yaml
from scipy import ndimage

from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.models.spec import ModelSpec

RIM = 4
"""Pixels around a painted object that are background: it ends where its paint does."""

LEARNING_RATE = 1e-4
"""A fifteenth of the recipes': what a model knows already must survive a few images, and so do its
batch-norm statistics, which are kept. On nuclei that the model knew before, one image of ten
objects cost it .10 of mean AP; at 3e-4 it cost .15."""


@dataclass(frozen=True, eq=False)
class Painted:
    """An image and what was painted on it.

    Attributes:
        image: (H, W) or (H, W, C) as stored.
        labels: (H, W) integer, 0 where nothing is painted.
        found: (H, W) integer, what a model had found before; None if it was not asked.
        complete: whether every object is painted, so that all else is background.

    Raises:
        UserError: shapes that differ.
    """

    image: np.ndarray
    labels: np.ndarray
    found: np.ndarray | None = None
    complete: bool = False

    def __post_init__(self) -> None:
        shapes = {self.image.shape[:2], self.labels.shape}
        shapes |= set() if self.found is None else {self.found.shape}
        if len(shapes) > 1:
            raise UserError(f"image and labels are of different sizes: {sorted(shapes)}")

    def touched(self) -> np.ndarray:
        """(H, W) bool: the objects that were painted or changed, as they are now.

        One that lost pixels is changed, too: by an eraser, or to another object.
        """
        if self.found is None:
            return np.asarray(self.labels > 0)
        changed = self.labels != self.found
        ids = np.union1d(self.labels[changed], self.found[changed])
        return np.isin(self.labels, ids[ids > 0])

    def mask(self) -> np.ndarray:
        """(H, W) label mask of the objects that are known."""
        return np.where(self.touched() | self.complete, self.labels, 0)

    def ignore(self) -> np.ndarray:
        """(H, W) bool: what nobody knows.

        Known are touched objects, a rim around them, and what was taken off an object that a
        model had found. Objects that were found and left alone are not known to be right.
        """
        if self.complete:
            return np.zeros(self.labels.shape, bool)
        touched = self.touched()
        known = touched | (_near(touched) & (self.labels == 0))
        if self.found is not None:
            known |= (self.found > 0) & (self.labels == 0)
        return np.asarray(~known)


def _near(touched: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels at most :data:`RIM` from a touched one; none where nothing is touched."""
    if not touched.any():  # scipy would measure to a point beyond the corner of the image
        return np.zeros_like(touched)
    return np.asarray(ndimage.distance_transform_edt(~touched) <= RIM)


def write_data(folder: Path, painted: Sequence[Painted]) -> None:
    """Write painted images as a label folder that trains and validates on all of them.

    A few images are too few to hold some out.

    Args:
        folder: of the data set, made if it is not there.
        painted: the images.

    Raises:
        UserError: nothing is painted, or a file cannot be written.
    """
    masks = [one.mask() for one in painted]
    if not any(mask.any() for mask in masks):
        raise UserError("nothing is painted yet: correct an object, or paint one, then train")
    for split in ("train", "val"):
        for k, (one, mask) in enumerate(zip(painted, masks, strict=True)):
            name = f"{k:03}.tif"
            with atomic_write(folder / split / "images" / name) as path:
                rgb = one.image.ndim == 3 and one.image.shape[2] == 3
                kind = "rgb" if rgb else "minisblack"
                tifffile.imwrite(path, one.image, photometric=kind, planarconfig="contig")
            save_label_tiff(folder / split / "masks" / name, mask)
            save_label_tiff(folder / split / "ignore" / name, one.ignore().astype(np.uint8))


def write_recipe(
    path: Path, spec: ModelSpec, zoom: float, painted: Sequence[Painted], length: dict[str, float]
) -> None:
    """Write the recipe of a run that goes on from a model (``--init``) on a few images.

    Args:
        path: the YAML file.
        spec: the model's.
        zoom: magnification at which the model sees the images.
        painted: the images; a recipe says by their objects how large the network sees them.
        length: such as ``{"minutes": 2}``.

    Raises:
        UserError: the file cannot be written.
    """
    areas = np.concatenate(
        [np.unique(p.mask()[p.mask() > 0], return_counts=True)[1] for p in painted]
    )
    diameter = float(np.median(np.sqrt(areas * 4 / np.pi)))
    augmentation = {"scale": [0.8, 1.25], "brightness": 0.1, "contrast": 0.2, "gamma": 0.4,
                    "noise": 0.05, "blur": 1.0}  # fmt: skip
    stage = {**length, "batch_size": 4, "learning_rate": LEARNING_RATE, "decay": "cosine",
             "warmup_steps": 20, "validations": 1, "freeze_batch_norm": True,
             "augmentation": augmentation}  # fmt: skip
    recipe = {
        "classes": list(spec.class_names),
        "center": spec.training.get("center", "centroid"),
        "margin": spec.margin,
        "diameter": diameter * zoom,
        "refine": spec.refine,
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "clip_norm": 5.0,
        "average": 0.98,
        "stages": [stage],
    }
    with atomic_write(path) as temporary:
        temporary.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")


def training_command(model: str, folder: Path, out: Path) -> list[str]:
    """The command that trains, in a process of its own so that the viewer stays alive.

    Args:
        model: what to start from.
        folder: holds ``recipe.yaml`` and ``data``.
        out: run folder.
    """
    recipe, data = folder / "recipe.yaml", folder / "data"
    given = ["train", str(data), "--config", str(recipe), "--init", model, "--out", str(out)]
    return [sys.executable, "-m", "spatialembed", *given]
