"""StarDist in 3D with random weights, on volumes whose voxels are as far apart along all axes.

Its post-processing works on what a network without error would give, made from the label mask, so
that it has objects to find.
"""

from functools import lru_cache

import keras
import numpy as np
import of_stardist_3d as trained
from stardist import Rays_GoldenSpiral, edt_prob, star_dist3D
from stardist.models import Config3D, StarDist3D
from tifffile import imread, imwrite
from turns import Clock, serve

GRID = (2, 2, 2)


def loaded():
    """What turns a volume into a label TIFF."""
    keras.utils.set_random_seed(0)
    rays = Rays_GoldenSpiral(trained.RAYS)
    model = StarDist3D(Config3D(rays=rays, grid=GRID, use_gpu=False), basedir=None)

    @lru_cache
    def without_error(mask: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = imread(mask).astype(np.int32)
        probable = edt_prob(labels)[tuple(slice(None, None, step) for step in GRID)]
        at = np.nonzero(probable > model.thresholds.prob)
        return probable[at], star_dist3D(labels, rays, grid=GRID)[at], np.stack(at, 1) * GRID

    def predict(clock: Clock, image: str, mask: str, out: str) -> None:
        expected = without_error(mask)
        with clock("read"):
            voxels = imread(image)
        with clock("normalise"):
            seen = trained.normalized(voxels)
        with clock("network"):
            tiles = model._guess_n_tiles(seen)
            model.predict_sparse(seen, prob_thresh=2, n_tiles=tiles, show_tile_progress=False)
        with clock("labels"):
            probable, far, points = expected
            found, _ = model._instances_from_prediction(voxels.shape, probable, far, points=points)
        with clock("write"):
            imwrite(out, found.astype(np.uint16), compression="zlib")

    return predict


if __name__ == "__main__":
    serve(loaded)
