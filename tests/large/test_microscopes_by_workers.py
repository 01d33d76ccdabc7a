"""A scene of a microscope's file, by tiles: never read whole, and found as it is by itself."""

import numpy as np
import pytest
from pointing import Pointing, pointing_image
from test_by_workers import MOSAIC, SIDE, TWO, labels_of
from test_seams import same_objects

from microscopes import write_czi
from spatialembed.data.images.series import Which
from spatialembed.errors import UserError
from spatialembed.large import predict_large


def test_channels_of_a_scene_become_the_labels_of_the_whole(tmp_path) -> None:
    pytest.importorskip("pylibCZIrw", reason="reading CZI is an extra, vendor")
    images = [pointing_image((SIDE, SIDE), seed) for seed in (0, 1)]
    path, out = tmp_path / "a.czi", tmp_path / "labels.zarr"
    write_czi(
        path,
        [
            (
                np.ascontiguousarray(image[..., 2 - c]),
                {"plane": {"C": c}, "scene": s, "location": (s * 900, 0)},
            )
            for s, image in enumerate(images)
            for c in range(3)
        ],
    )
    source, whole = Pointing(tmp_path), Pointing(tmp_path).load().predict(images[1])
    with pytest.raises(UserError, match=r"a\.czi holds 2 images"):
        predict_large(source, path, out, TWO, mosaic=MOSAIC)
    asked = Which(1, 0, (2, 1, 0))
    count = predict_large(source, path, out, TWO, mosaic=MOSAIC, series=asked)
    assert count == len(whole) > 0
    assert same_objects(labels_of(out), whole.label_map)
