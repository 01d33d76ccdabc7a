"""Clustering, refinement and loss on volumes whose planes lie further apart than their pixels."""

import numpy as np
import pytest
import torch

import reference
import test_clustering
import test_loss
import test_refinement
from spatialembed.embedding import PITCH
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.terms.centers import CENTERS, object_centers

COARSE = (PITCH, 1.25 * PITCH, 4 * PITCH)
"""Pitch along x, y, z; of few bits, so that equal distances are equal in float32, too."""

SHAPE = (7, 16, 19)


def coarse_scene(seed: int, objects: int, n_sigma: int) -> np.ndarray:
    """Balls in micrometres: offsets along each axis in its own pitch."""
    rng = np.random.default_rng(seed)
    steps = np.array(COARSE)[:, None, None, None]
    grid = np.indices(SHAPE)[::-1] * steps
    output = np.zeros((3 + n_sigma + 2, *SHAPE))
    output[:3] = rng.normal(0, 4 * PITCH, grid.shape)
    output[3 : 3 + n_sigma] = 1 + rng.normal(0, 0.05, (n_sigma, *SHAPE))
    output[-2:] = rng.normal(-4, 1.5, (2, *SHAPE))
    for k in range(objects):
        center = rng.uniform(0, np.array(SHAPE)[::-1]) * np.array(COARSE)
        away = center[:, None, None, None] - grid
        distance = np.sqrt((away**2).sum(0)) / PITCH
        inside = distance < rng.uniform(3, 6)
        output[:3, inside] = away[:, inside] + rng.normal(0, PITCH / 3, (3, inside.sum()))
        output[3 + n_sigma + k % 2, inside] = 4 - distance[inside] / 2
    output[:3] = np.arctanh(output[:3].clip(-0.9, 0.9))
    return output.astype(np.float32)


@pytest.mark.parametrize("n_sigma", [1, 3])
@pytest.mark.parametrize("objects", [0, 1, 12, 60])
@pytest.mark.parametrize("margin", [None, 4.0])
def test_clustering_and_refinement_equal_naive_loops(objects, n_sigma, margin) -> None:
    output = coarse_scene(objects, objects, n_sigma)
    options = {"n_sigma": n_sigma, "pitch": COARSE, "margin": margin, "min_size": 4}
    found = test_clustering.assert_equal_to_reference(output, seed_threshold=0.6, **options)
    assert (found >= min(objects, 5)) if objects else found == 0
    left = test_refinement.assert_equal_to_reference(output, **options)
    assert left <= found


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("n_sigma", [1, 3])
@pytest.mark.parametrize("objects", [0, 1, 60])
def test_the_loss_and_its_gradient_equal_naive_loops(center, n_sigma, objects) -> None:
    output, label_mask, class_map = test_loss.scene(objects, SHAPE, n_sigma, 2, seed=objects)
    ignore = torch.from_numpy(np.random.default_rng(0).random(label_mask.shape) < 0.1)
    options = {"n_sigma": n_sigma, "center": center, "pitch": COARSE}
    test_loss.assert_equals_reference(output, label_mask, class_map, ignore, **options)


@pytest.mark.parametrize("n_sigma", [1, 3])
def test_a_fixed_margin_is_in_pixels_of_the_finest_axis(n_sigma) -> None:
    output, label_mask, class_map = test_loss.scene(6, SHAPE, n_sigma)
    options = {"n_sigma": n_sigma, "pitch": COARSE, "margin": 3.0}
    test_loss.assert_equals_reference(output, label_mask, class_map, **options)


@pytest.mark.parametrize("center", CENTERS)
def test_the_gradient_in_float64_is_a_finite_difference(center) -> None:
    """Of the instance term, which no part of is taken as given."""
    output, label_mask, _ = test_loss.scene(5, (4, 9, 8), 3, seed=4)
    loss = SpatialEmbeddingLoss(n_sigma=3, center=center, pitch=COARSE)

    def instance(values: torch.Tensor) -> torch.Tensor:
        return loss(values, label_mask)["instance"]

    output.requires_grad_()
    (gradient,) = torch.autograd.grad(instance(output), output)
    rng = np.random.default_rng(0)
    flat = gradient.flatten()
    felt = np.flatnonzero(flat.numpy())
    assert len(felt) > 100
    step = 1e-7
    for k in rng.choice(felt, 25, replace=False):
        moved = [output.detach().clone() for _ in range(2)]
        moved[0].view(-1)[k] += step
        moved[1].view(-1)[k] -= step
        slope = (instance(moved[0]) - instance(moved[1])) / (2 * step)
        assert float(slope) == pytest.approx(float(flat[k]), rel=1e-3, abs=1e-6)


def test_the_medoid_is_one_of_lengths_not_of_voxels() -> None:
    """EmbedSeg's center of an object in 3D: its voxel with the least sum of distances."""
    bent = [(z, 0, 0) for z in range(5)] + [(4, 0, x) for x in range(1, 5)]
    places = {}
    for name, pitch in (("cubes", (1.0, 1.0, 1.0)), ("coarse", (1.0, 1.0, 4.0))):
        points = np.array(bent, float)[:, ::-1] * pitch
        coordinate = torch.from_numpy(points.T.copy())
        owner, counts = torch.zeros(len(bent), dtype=torch.long), torch.tensor([len(bent)])
        found = object_centers("medoid", coordinate, owner, counts)[:, 0].numpy()
        np.testing.assert_array_equal(found, points[reference.medoid(points)])
        places[name] = tuple(found / pitch)
    assert places["cubes"] == (0, 0, 3)
    assert places["coarse"] == (2, 0, 4)
