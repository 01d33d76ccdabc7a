"""A raw output that lies on a card is clustered and refined to what its copy on the host gives.

The operations that pick the foreground out of it run on the CPU too, where each test forces them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spatialembed.clustering import cluster
from spatialembed.inference.predictor import Model
from spatialembed.instances import Instances
from spatialembed.kernels import packing
from spatialembed.models.spec import ModelSpec
from spatialembed.refinement import refine
from test_clustering import flat_output, random_scene

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    return request.param


@contextmanager
def packed() -> Iterator[mock.Mock]:
    """Treat tensors as if they lay on a card; counts the fetches."""
    with (
        mock.patch.object(packing, "is_elsewhere", lambda output: isinstance(output, torch.Tensor)),
        mock.patch.object(packing, "pack", wraps=packing.pack) as pack,
    ):
        yield pack


def assert_equal(found: Instances, expected: Instances) -> None:
    for name in ("label_map", "scores", "classes", "boxes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
        assert getattr(found, name).dtype == getattr(expected, name).dtype
    assert found.class_names == expected.class_names
    Instances(found.label_map, found.scores, found.classes, found.boxes, found.class_names)


def assert_same_as_its_copy(output: torch.Tensor, seed_threshold: float = 0.9, **options) -> int:
    """Cluster and refine a tensor and its copy in numpy; gives the number of instances."""
    copy = output.detach().float().cpu().numpy()
    expected = cluster(copy, seed_threshold=seed_threshold, **options)
    with packed() as pack:
        found = cluster(output, seed_threshold=seed_threshold, **options)
        assert_equal(found, expected)
        assert_equal(refine(found, output, **options), refine(expected, copy, **options))
    assert pack.call_count == 1 + (len(found) > 0)
    return len(found)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    shape=st.sampled_from([(90,), (40, 50), (1, 64), (33, 1), (1, 1), (9, 10, 11), (1, 1, 7)]),
    objects=st.integers(0, 30),
    elliptical=st.booleans(),
    n_classes=st.integers(1, 4),
    levels=st.sampled_from([None, 4, 1]),
    seed_threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    foreground_threshold=st.sampled_from([0.0, 0.05, 0.5, 0.8, 1.0]),
    min_size=st.sampled_from([0, 1, 5, 30]),
    margin=st.sampled_from([None, 3.0]),
    dtype=st.sampled_from(DTYPES),
    share=st.sampled_from([0, 0, 0.02, 1]),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
)
@example(0, (40, 50), 8, False, 2, 1, 0.9, 0.5, 5, None, torch.bfloat16, 0.02, np.nan)
@example(0, (40, 50), 8, True, 3, None, 0.0, 0.0, 5, None, torch.float16, 0.02, np.inf)
def test_any_scene(
    device, seed, shape, objects, elliptical, n_classes, levels,
    seed_threshold, foreground_threshold, min_size, margin, dtype, share, value,
):  # fmt: skip
    n_sigma = len(shape) if elliptical else 1
    output = random_scene(seed, shape, objects, n_sigma, n_classes, 5, 0.5, levels)
    output[np.random.default_rng(seed).random(output.shape) < share] = value
    assert_same_as_its_copy(
        torch.from_numpy(output).to(device, dtype),
        n_sigma=n_sigma,
        seed_threshold=seed_threshold,
        foreground_threshold=foreground_threshold,
        min_size=min_size,
        margin=margin,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5, 0.7, 0.95, 0.99999, 1.0])
def test_thresholds_fall_between_the_same_logits(device, threshold, dtype):
    """Each pixel is an object of its own, of a logit at or right beside that of the threshold."""
    exact = np.log(threshold / (1 - threshold)) if 0 < threshold < 1 else np.sign(threshold) * 30
    steps = np.arange(-200, 201)
    near = np.concatenate([exact * (1 + steps * s) + steps * s for s in (2**-24, 2**-12, 2**-8)])
    output = flat_output((1, len(near)), 0.5)
    output[3, 0] = near
    tensor = torch.from_numpy(output).to(device, dtype)
    options = {"seed_threshold": 0.0, "foreground_threshold": threshold, "min_size": 1}
    n = assert_same_as_its_copy(tensor, **options)
    assert (n == 0) if threshold == 1 else 100 < n <= len(near)


@pytest.mark.parametrize("channel", range(6))
def test_a_pixel_that_is_not_finite_in_any_channel_belongs_to_nothing(device, channel):
    output = random_scene(2, n_sigma=2, n_classes=2)
    hit = (output[4:].max(0) > 4) & (np.arange(output.shape[2]) % 3 == 0)
    output[channel, hit] = np.nan
    assert assert_same_as_its_copy(torch.from_numpy(output).to(device), n_sigma=2, min_size=4) > 3
    with packed():
        found = cluster(torch.from_numpy(output).to(device), 2, min_size=4)
    assert not found.label_map[hit].any()


def test_a_float64_beyond_float32_is_not_finite(device):
    output = random_scene(2).astype(np.float64)
    output[0, 20:40] = 1e300
    assert assert_same_as_its_copy(torch.from_numpy(output).to(device), min_size=4) > 1


def test_tensors_of_any_layout(device):
    output = torch.from_numpy(random_scene(5, n_sigma=2)).to(device)
    batch = output[None].contiguous(memory_format=torch.channels_last)
    wide = torch.nn.functional.pad(output, (0, 7, 3, 0))
    with torch.inference_mode():
        inferred = output * 1
    given = (output, batch[0], wide[:, 3:, :-7], inferred, output.clone().requires_grad_())
    for tensor in given:
        assert assert_same_as_its_copy(tensor, n_sigma=2, min_size=9) > 3


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (0, 3, 3), (6, 7)])
def test_an_image_without_foreground(device, shape):
    output = torch.full((len(shape) + 2, *shape), -9.0, device=device)
    assert assert_same_as_its_copy(output) == 0


def test_only_what_may_be_foreground_is_fetched(device):
    output = torch.from_numpy(random_scene(1, n_classes=2)).to(device, torch.bfloat16)
    pixel, values = packing.pack(output, 3, 0.0)
    copy = output.float().cpu().numpy().reshape(len(output), -1)
    bright = np.flatnonzero((copy[3:] >= 0).any(0))
    assert 0 < len(bright) < copy.shape[1] / 2
    np.testing.assert_array_equal(pixel, bright)
    np.testing.assert_array_equal(values, copy[:, bright])
    assert (pixel.dtype, values.dtype) == (np.int32, np.float32)


def test_a_tensor_of_the_host_is_taken_as_it_is():
    assert not packing.is_elsewhere(torch.zeros(4, 8, 8))
    assert not packing.is_elsewhere(np.zeros((4, 8, 8)))
    assert packing.is_elsewhere(torch.zeros(4, 8, 8, device="meta"))


def test_a_model_that_refines_fetches_once(device):
    spec = ModelSpec("residual_unet", min_size=4, refine=True)
    model = Model(mock.Mock(), spec)
    output = random_scene(1, objects=20, radius=8)
    expected = model.cluster(output)
    with packed() as pack:
        found = model.cluster(torch.from_numpy(output).to(device))
    assert pack.call_count == 1
    assert_equal(found, expected)
    assert len(found) > 3
    plain = model.cluster(output, refined=False)
    assert (plain.label_map != found.label_map).any()
    assert_equal(model.refined(plain, output), found)
