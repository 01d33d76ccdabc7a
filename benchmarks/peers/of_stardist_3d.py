"""StarDist in 3D: network, settings, augmentation and training as in its example for volumes.

Its example's patches hold 48 planes of 96²; where volumes have fewer planes, as many voxels.
"""

import os
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow
from csbdeep.utils import normalize
from of_stardist import Deadline
from stardist import Rays_GoldenSpiral, calculate_extents, fill_label_holes
from stardist.models import Config3D, StarDist3D
from tifffile import imread, imwrite
from turns import Clock, serve

RAYS, PATCH, BATCH = 96, (48, 96, 96), 2
NAME = "stardist"
RANDOM = np.random.default_rng(0)
UNKNOWN = -1
"""Label where StarDist's loss counts nothing."""


def loaded():
    """What finds the objects of a volume by the model of a folder."""
    keras.utils.set_random_seed(0)
    model = StarDist3D(None, name=NAME, basedir=sys.argv[1])

    def predict(clock: Clock, image: str, out: str) -> None:
        with clock("read"):
            voxels = imread(image)
        with clock("normalise"):
            seen = normalized(voxels)
        with clock("network and labels"):
            tiles = model._guess_n_tiles(seen)
            labels, _ = model.predict_instances(seen, n_tiles=tiles, show_tile_progress=False)
        with clock("write"):
            imwrite(out, labels.astype(np.uint16), compression="zlib")

    return predict


def normalized(voxels: np.ndarray) -> np.ndarray:
    """Percentiles of the whole volume, as in the example."""
    return normalize(voxels, 1, 99.8, axis=(0, 1, 2))


def augmented(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Planes mirrored and transposed, and another intensity, as in the example."""
    if RANDOM.random() < 0.5:
        x, y = (a.transpose(0, 2, 1) for a in (x, y))
    for axis in (1, 2):
        if RANDOM.random() < 0.5:
            x, y = (np.flip(a, axis) for a in (x, y))
    return x * RANDOM.uniform(0.6, 2) + RANDOM.uniform(-0.2, 0.2), y


def patch(shapes: list[tuple[int, ...]], steps: np.ndarray) -> tuple[int, ...]:
    """Size of the training patches: multiples of ``steps``, square so that they can be transposed.

    The smallest volume holds them, unless it is smaller than a step.
    """
    least, step = np.min(shapes, 0), max(steps[1:])
    planes = max(min(PATCH[0], least[0]) // steps[0], 1) * steps[0]
    side = min(PATCH[1] * (PATCH[0] / planes) ** 0.5, *least[1:])
    side = max(int(side) // step, 1) * step
    return int(planes), int(side), int(side)


def filled(volume: np.ndarray, size: tuple[int, ...], labels: bool) -> np.ndarray:
    """A volume that is mirrored, or of unknown labels, where it is smaller than a patch."""
    widths = [(0, n) for n in np.maximum(np.subtract(size, volume.shape), 0)]
    if labels:
        return np.pad(volume, widths, constant_values=UNKNOWN)
    return np.pad(volume, widths, "reflect")


def volumes(data: str, part: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images and label masks of DATA/PART."""
    files = sorted(Path(data, part, "images").iterdir())
    images = [normalized(imread(file)) for file in files]
    masks = [imread(Path(data, part, "masks", file.name)).astype(np.int32) for file in files]
    return images, [fill_label_holes(mask) for mask in masks]


def configuration(masks: list[np.ndarray]) -> Config3D:
    """Of the example: rays and grid follow from how flat the training objects are."""
    extents = calculate_extents(masks)
    anisotropy = tuple(float(a) for a in np.max(extents) / extents)
    rays = Rays_GoldenSpiral(RAYS, anisotropy=anisotropy)
    grid = tuple(1 if a > 1.5 else 2 for a in anisotropy)
    config = Config3D(rays=rays, grid=grid, anisotropy=anisotropy, use_gpu=False)
    steps = np.power(config.unet_pool, config.unet_n_depth) * grid
    config.train_patch_size = patch([mask.shape for mask in masks], steps)
    config.train_batch_size, config.train_tensorboard = BATCH, False
    return config


def trained(data: str, out: str, minutes: str) -> dict[str, object]:
    """Train for some minutes on DATA/train, and keep the best by DATA/val in OUT.

    Thresholds are its defaults: to choose them on the slab, by a model that 8 minutes of one core
    had taught little, had not ended 14 minutes later.
    """
    end = time.monotonic() + 60 * float(minutes)
    keras.utils.set_random_seed(0)
    train, val = (volumes(data, part) for part in ("train", "val"))
    config = configuration(train[1])
    model = StarDist3D(config, name=NAME, basedir=out)
    model.prepare_for_training()
    deadline = Deadline(end)
    model.callbacks.append(deadline)
    learned, watched = (
        [[filled(v, config.train_patch_size, bool(k)) for v in each] for k, each in enumerate(part)]
        for part in (train, val)
    )
    model.train(*learned, validation_data=tuple(watched), augmenter=augmented)
    sizes = ["×".join(map(str, size)) for size in (config.train_patch_size, config.grid)]
    told = f"patches of {sizes[0]}, grid {sizes[1]}, its default thresholds"
    return {"steps": deadline.steps, "told": told}


if __name__ == "__main__":
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    serve(loaded, trained)
