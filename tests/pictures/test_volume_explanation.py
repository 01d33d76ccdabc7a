"""What pictures of a plane of a volume show, against the same worked out for the whole."""

import numpy as np
import pytest

from spatialembed.clustering import cluster
from spatialembed.embedding import clamped, embed, sigma_to_margin, sigmoid
from spatialembed.pictures import VIEWS, Plane, VolumeExplanation, explain, found_seeds
from spatialembed.pictures.colors import colors_of_objects

PITCH = (0.01, 0.01, 0.02)


def explanation(n_sigma: int, classes: int = 1, margin=None, spacing=None) -> VolumeExplanation:
    rng = np.random.default_rng(0)
    output = rng.normal(0, 0.05, (3 + n_sigma + classes, 7, 18, 22)).astype(np.float32)
    output[3 : 3 + n_sigma] = rng.normal(0.5, 0.02, (n_sigma, 7, 18, 22))
    output[3 + n_sigma :] += rng.normal(0.2, 1, (classes, 7, 18, 22))
    names = tuple("abc"[:classes])
    found = cluster(
        output, n_sigma, pitch=PITCH, margin=margin, seed_threshold=0.6, min_size=1,
        class_names=names,
    )  # fmt: skip
    assert len(found) > 5
    image = rng.integers(0, 2000, (7, 18, 22, 1)).astype(np.uint16)
    return VolumeExplanation(image, output, found, n_sigma, PITCH, margin, spacing)


@pytest.mark.parametrize(
    ("n_sigma", "classes", "margin"), [(1, 1, None), (3, 2, None), (3, 1, 4.0), (1, 1, 4.0)]
)
def test_centers_and_margins_are_those_that_clustering_used(n_sigma, classes, margin) -> None:
    volume = explanation(n_sigma, classes, margin)
    whole = embed(volume.output, n_sigma, PITCH, margin)
    found = volume.found
    seeds = found_seeds(sigmoid(whole.seed), found.label_map, found.classes)
    steps = np.array(PITCH)
    centers = whole.position.reshape(3, -1)[:, seeds].T / steps
    sigma = np.broadcast_to(clamped(whole.sigma).reshape(n_sigma, -1)[:, seeds], (3, len(seeds)))
    margins = np.stack([sigma_to_margin(sigma[d], PITCH[d]) for d in range(3)], 1)
    for k in range(len(found)):
        center, margins_of = volume.ellipsoid(k)
        np.testing.assert_allclose(center, centers[k], rtol=1e-5)
        np.testing.assert_allclose(margins_of, margins[k], rtol=1e-4)


@pytest.mark.parametrize("n_sigma", [1, 3])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cut_keeps_what_runs_along_it(axis: int, n_sigma: int) -> None:
    volume = explanation(n_sigma, 2)
    plane = Plane(axis, 3)
    cut = volume.at(plane)
    labels = np.take(volume.found.label_map, 3, axis)
    rows = np.unique(labels[labels > 0]) - 1
    np.testing.assert_array_equal(cut.rows, rows)
    np.testing.assert_array_equal(np.concatenate([[0], rows + 1])[cut.found.label_map], labels)
    np.testing.assert_array_equal(cut.found.scores, volume.found.scores[rows])
    np.testing.assert_array_equal(cut.colors, volume.colors[rows])
    kept = [d for d in range(3) if d != 2 - axis]  # x, y, z
    whole = embed(volume.output, n_sigma, PITCH)
    # Positions of a plane begin at its own corner, which is the volume's along both its axes.
    np.testing.assert_array_equal(
        cut._embedded.position, np.take(whole.position[kept], 3, axis + 1)
    )
    np.testing.assert_array_equal(cut._embedded.seed, np.take(whole.seed, 3, axis + 1))
    centers, margins = cut._ellipses
    for row, k in enumerate(rows):
        center, margin = volume.ellipsoid(k)
        np.testing.assert_array_equal(centers[row], center[kept])
        np.testing.assert_array_equal(margins[row], margin[kept])


def test_pictures_of_a_cut_have_its_true_proportions_and_say_where_it_is() -> None:
    volume = explanation(3, spacing=(0.5, 0.2, 0.2))
    for axis, ratio in enumerate((22 / 18, 22 / (2.5 * 7), 18 / (2.5 * 7))):
        cut = volume.at(Plane(axis, 2))
        for view in VIEWS:
            height, width = cut.picture(view).shape[:2]
            assert width / height == pytest.approx(ratio, rel=0.01)
            assert max(height, width) > 400
        assert cut.where == f" at {'zyx'[axis]} = 2"
        assert explain(cut).ndim == 3


def test_a_plane_without_an_object_has_pictures() -> None:
    volume = explanation(1)
    volume.found.label_map[3] = 0
    for view in VIEWS:
        assert volume.at(Plane(0, 3)).picture(view).size


def test_objects_of_a_volume_that_touch_along_any_axis_differ_in_color() -> None:
    labels = np.arange(1, 5 * 6 * 7 + 1).reshape(5, 6, 7).repeat(2, 0).repeat(9, 1).repeat(9, 2)
    ranks, colors = colors_of_objects(labels)
    assert ranks.shape == labels.shape
    for axis in range(3):
        first = np.moveaxis(ranks, axis, 0)
        one, other = first[:-1], first[1:]
        apart = np.abs(colors[one].astype(int) - colors[other]).sum(-1)
        assert (apart[one != other] > 0).all()
