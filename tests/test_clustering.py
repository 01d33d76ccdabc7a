"""Label maps of the fast clustering equal those of the naive loop, pixel for pixel."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import reference
from spatialembed.clustering import cluster
from spatialembed.embedding import PITCH, margin_to_sigma
from spatialembed.refinement import refine


def random_scene(
    seed: int,
    shape: tuple[int, ...] = (64, 80),
    objects: int = 10,
    n_sigma: int = 1,
    n_classes: int = 1,
    radius: float = 6,
    noise: float = 1.0,
    levels: int | None = None,
) -> np.ndarray:
    """Raw output (C, *shape) such as a network half-way through training gives.

    Discs point to their centers with ``noise`` pixels of error; bandwidths vary from pixel to
    pixel; seed scores fall off from the center. ``levels`` rounds seed logits, which makes ties.
    """
    rng = np.random.default_rng(seed)
    dims = len(shape)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(float)
    offset = rng.normal(0, 4, grid.shape)
    margin = np.maximum(rng.normal(radius, radius / 3, (n_sigma, *shape)), 0.5)
    logits = rng.normal(-4, 1.5, (n_classes, *shape))
    for _ in range(objects):
        center = rng.uniform(0, shape)
        size = radius * rng.uniform(0.5, 1.5)
        distance = np.sqrt(((grid - center.reshape(-1, *[1] * dims)) ** 2).sum(0))
        inside = distance < size
        n = int(inside.sum())
        offset[:, inside] = center[:, None] - grid[:, inside] + rng.normal(0, noise, (dims, n))
        margin[:, inside] = size * rng.uniform(0.4, 1.1, (n_sigma, n))
        k = rng.integers(n_classes)
        logits[k, inside] = 5 - 4 * distance[inside] / size + rng.normal(0, 0.7, n)
        logits[(k + 1) % n_classes, inside] += 2 * (n_classes > 1)
    sigma = np.log(np.log(2) / (margin * PITCH) ** 2) / 10
    if levels is not None:
        logits = np.round(logits * levels) / levels
    offset = np.arctanh(np.clip(offset[::-1] * PITCH, -0.99, 0.99))  # axis order to x, y, z
    return np.concatenate([offset, sigma, logits]).astype(np.float32)


def assert_equal_to_reference(output: np.ndarray, **options) -> int:
    """Compare with the naive loop; gives the number of instances."""
    label_map, scores, classes = reference.cluster(output, **options)
    found = cluster(output, **options)
    assert found.label_map.dtype == np.int32
    np.testing.assert_array_equal(found.label_map, label_map)
    np.testing.assert_array_equal(found.scores, scores)
    np.testing.assert_array_equal(found.classes, classes)
    for k in range(len(found)):
        where = np.argwhere(label_map == k + 1)
        np.testing.assert_array_equal(found.boxes[k], [*where.min(0), *(where.max(0) + 1)])
    return len(found)


@pytest.mark.parametrize("n_sigma", [1, 2])
@pytest.mark.parametrize(("objects", "radius"), [(0, 6), (1, 20), (20, 6), (100, 4), (400, 2)])
def test_images_of_0_to_400_objects(objects, radius, n_sigma):
    output = random_scene(objects, (96, 128), objects, n_sigma, radius=radius, noise=radius / 6)
    n = assert_equal_to_reference(output, n_sigma=n_sigma, min_size=4)
    assert (n > 0.4 * objects) if objects else n == 0


@pytest.mark.parametrize("n_sigma", [1, 3])
@pytest.mark.parametrize("objects", [0, 5, 40])
def test_volumes(objects, n_sigma):
    output = random_scene(objects, (12, 20, 24), objects, n_sigma, radius=4, noise=0.5)
    n = assert_equal_to_reference(output, n_sigma=n_sigma, min_size=4)
    assert n > 2 or not objects


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.sampled_from([(40, 50), (1, 64), (33, 1), (1, 1), (9, 10, 11), (1, 1, 7)]),
    objects=st.integers(0, 30),
    elliptical=st.booleans(),
    n_classes=st.integers(1, 4),
    noise=st.sampled_from([0.0, 0.5, 2.0]),
    levels=st.sampled_from([None, 4, 1]),
    seed_threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.99]),
    foreground_threshold=st.sampled_from([0.05, 0.5, 0.8]),
    min_size=st.sampled_from([0, 1, 5, 30]),
    margin=st.sampled_from([None, 3.0]),
    pitch=st.sampled_from([PITCH, 1 / 100]),
)
@example(0, (40, 50), 8, False, 2, 0.5, 1, 0.9, 0.5, 5, None, PITCH)
def test_any_scene(
    seed, shape, objects, elliptical, n_classes, noise, levels,
    seed_threshold, foreground_threshold, min_size, margin, pitch,
):  # fmt: skip
    n_sigma = len(shape) if elliptical else 1
    output = random_scene(seed, shape, objects, n_sigma, n_classes, 5, noise, levels)
    assert_equal_to_reference(
        output,
        n_sigma=n_sigma,
        seed_threshold=seed_threshold,
        foreground_threshold=foreground_threshold,
        min_size=min_size,
        margin=margin,
        pitch=pitch,
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.001, 0.05, 1.0]),
    value=st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30]),
    n_classes=st.integers(1, 3),
    margin=st.sampled_from([None, 3.0]),
)
def test_outputs_that_are_not_finite(seed, share, value, n_classes, margin):
    output = random_scene(seed, (30, 40), 8, 2, n_classes, 5, levels=2)
    output[np.random.default_rng(seed).random(output.shape) < share] = value
    assert_equal_to_reference(output, n_sigma=2, min_size=4, margin=margin)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", range(6))
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_pixel_that_is_not_finite_in_any_channel_belongs_to_nothing(value, channel, kind):
    """Neither as a seed nor as a member, whichever of the offsets, bandwidths and classes it is."""
    output = random_scene(2, n_sigma=2, n_classes=2)
    before = cluster(output, 2, min_size=4)
    hit = (before.label_map > 0) & (np.random.default_rng(0).random(output.shape[1:]) < 0.2)
    hit |= (output[4:].max(0) > 4) & (np.arange(output.shape[2]) % 3 == 0)  # seeds among them
    output[channel, hit] = value
    given = output
    if kind == "torch":
        import torch

        given = torch.from_numpy(output)
    found = cluster(given, 2, min_size=4)
    assert len(found) > 3
    assert not found.label_map[hit].any()
    assert not refine(found, given, 2, min_size=4).label_map[hit].any()
    for margin in (None, 5.0):
        assert_equal_to_reference(output, n_sigma=2, min_size=4, margin=margin)


def test_a_float64_beyond_float32_is_not_finite():
    output = random_scene(2).astype(np.float64)
    output[0, 20:40] = 1e300
    found = cluster(output, min_size=4)
    assert len(found) > 1
    assert not found.label_map[20:40].any()


def test_noise_where_every_pixel_is_a_seed():
    rng = np.random.default_rng(3)
    output = rng.normal(size=(5, 40, 50)).astype(np.float32)
    options = {"n_sigma": 2, "seed_threshold": 0, "foreground_threshold": 0, "min_size": 3}
    assert_equal_to_reference(output, **options)
    output[:2] *= 1e-3
    assert_equal_to_reference(output, **options)


def flat_output(shape: tuple[int, ...], margin: float, n_classes: int = 1) -> np.ndarray:
    """No offsets, one bandwidth, background everywhere."""
    output = np.zeros((len(shape) + 1 + n_classes, *shape), np.float32)
    output[len(shape)] = margin_to_sigma(margin)
    output[len(shape) + 1 :] = -10
    return output


def test_more_instances_than_16_bits_hold():
    output = flat_output((300, 300), 0.5)
    output[3] = 10  # all tie: row by row
    found = cluster(output, min_size=1)
    np.testing.assert_array_equal(
        found.label_map, np.arange(1, 90_001, dtype=np.int32).reshape(300, 300)
    )


def test_ties_fall_to_the_lower_class_then_the_lower_pixel():
    output = flat_output((3, 7), 1.5, n_classes=2)
    output[3:, 1, [1, 2, 5]] = 4
    found = cluster(output, min_size=1)
    np.testing.assert_array_equal(found.label_map[1], [0, 1, 1, 0, 0, 2, 0])
    np.testing.assert_array_equal(found.classes, [0, 0])
    output[4, 1, 5] = 5  # now class 1 wins there, and comes first
    found = cluster(output, min_size=1, class_names=["car", "bus"])
    np.testing.assert_array_equal(found.label_map[1], [0, 2, 2, 0, 0, 1, 0])
    np.testing.assert_array_equal(found.classes, [1, 0])
    assert found.class_names == ("car", "bus")


def test_a_proposal_spent_by_one_class_is_spent_for_all():
    output = flat_output((1, 9), 10, n_classes=2)
    output[3, 0, :5] = 6
    output[4, 0, :8] = 5  # the second class: 8 pixels, 5 of them spent
    found = cluster(output, min_size=1)
    np.testing.assert_array_equal(found.label_map, [[1, 1, 1, 1, 1, 0, 0, 0, 0]])


def test_rejected_proposals_are_spent():
    output = flat_output((1, 9), 2.5)
    output[3, 0, 1:4] = 4
    output[3, 0, 2] = 5
    assert len(cluster(output, min_size=4)) == 0
    assert len(cluster(output, min_size=3)) == 1


def test_thresholds_are_inclusive_for_seeds_and_exclusive_for_the_foreground():
    output = flat_output((1, 3), 0.5)
    output[3, 0, 1] = 0  # a score of exactly one half
    options = {"min_size": 1, "seed_threshold": 0.5}
    assert len(cluster(output, foreground_threshold=0.4, **options)) == 1
    assert len(cluster(output, foreground_threshold=0.5, **options)) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_torch_and_numpy_agree_and_repeat(dtype):
    import torch

    tensor = torch.from_numpy(random_scene(5, n_sigma=2)).to(getattr(torch, dtype))
    array = tensor.float().numpy()
    expected = cluster(array, 2, min_size=9)
    assert len(expected) > 3
    for output in (tensor, tensor.requires_grad_(), array[:, ::1], np.asfortranarray(array)):
        found = cluster(output, 2, min_size=9)
        np.testing.assert_array_equal(found.label_map, expected.label_map)
        np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (0, 3, 3)])
def test_an_empty_image(shape):
    found = cluster(np.zeros((len(shape) + 2, *shape), np.float32))
    assert found.label_map.shape == shape
    assert len(found) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sigma": 3}, "n_sigma must be 1 or 2"),
        ({"n_sigma": 2}, "no seed map"),
        ({"seed_threshold": 1.5}, "must lie in"),
        ({"foreground_threshold": float("nan")}, "must lie in"),
        ({"class_names": ["a", "b"]}, "as many class names"),
        ({"pitch": 0}, "pitch must be"),
        ({"margin": -1}, "positive number of pixels"),
        ({"min_size": -1}, "min_size"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        cluster(flat_output((4, 4), 3), **options)


def test_integers_are_no_raw_output():
    with pytest.raises(ValueError, match=r"floating-point numbers, not .*int32"):
        cluster(flat_output((4, 4), 3).astype(np.int32))
    with pytest.raises(ValueError, match=r"floating-point numbers, not .*int32"):
        cluster(torch.zeros(4, 4, 4, dtype=torch.int32))


def test_a_batch_is_no_image():
    with pytest.raises(ValueError, match="one output at a time"):
        cluster(flat_output((4, 4), 3)[None], n_sigma=2)


def test_clustering_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import numpy as np; "
        "from spatialembed import cluster; print(len(cluster(np.zeros((4, 8, 8)))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
