"""Tiles of volumes give what the whole volume gives."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import nn

from spatialembed.inference import volume_tiles
from spatialembed.inference.resizing import resized, sampled
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.inference.volume_tiles import BYTES_PER_VOXEL, HALO, LEAST, STEP, tiled_volume
from spatialembed.inference.zoom import Enlarged, Part
from spatialembed.models import build


def to(volume: np.ndarray, zoom: float) -> Enlarged:
    return Part.whole(volume.shape[2:]).enlarged(zoom)


def in_one_pass(network, volume: np.ndarray, at: Enlarged) -> np.ndarray:
    """By planes: enlarge each, run, and sample each."""
    planes = [resized(np.ascontiguousarray(volume[:, z]), at) for z in range(volume.shape[1])]
    output = network(np.stack(planes, 1))
    found = [sampled(np.ascontiguousarray(output[:, z]), at) for z in range(volume.shape[1])]
    return np.stack(found, 1)


class Local:
    """Sees ``reach`` voxels far, along every axis, and remembers what it was given."""

    def __init__(self, reach: int) -> None:
        self.side = 2 * reach + 1
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        self.seen.append(volume.shape[1:])
        assert volume.flags.c_contiguous
        assert volume.dtype == np.float32
        blurred = ndimage.uniform_filter(volume[0].astype(np.float64), self.side)
        return np.stack([blurred, volume[-1] * 2]).astype(np.float32)


@pytest.mark.parametrize("zoom", [1.0, 0.7])
@pytest.mark.parametrize("shape", [(5, 160, 170), (150, 30, 41), (140, 135, 9)])
def test_a_local_network_gives_the_same(shape, zoom) -> None:
    network = Local(HALO - 1)
    volume = np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    at = to(volume, zoom)
    expected = in_one_pass(network, volume, at)
    network.seen.clear()
    found = tiled_volume(network, volume, at, 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32
    assert len(set(network.seen)) == 1  # by one size a runtime plans its memory
    assert max(network.seen[0]) <= LEAST
    longest = max(shape[0], *at.shape)
    assert (len(network.seen) > 1) == (longest > LEAST)


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from([0.7, 1.0, 1.6]),
    st.integers(1, 60_000),
    st.integers(0, 9),
)
def test_any_volume_and_memory_gives_the_same(shape, zoom, voxels, seed) -> None:
    with pytest.MonkeyPatch.context() as patch:  # small ones, so that small volumes are cut
        for name, value in (("STEP", 4), ("HALO", 4), ("LEAST", 16)):
            patch.setattr(volume_tiles, name, value)
        network = Local(3)
        volume = np.random.default_rng(seed).random((1, *shape)).astype(np.float32)
        at = to(volume, zoom)
        expected = in_one_pass(network, volume, at)
        network.seen.clear()
        found = tiled_volume(network, volume, at, voxels)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for given_ in network.seen:
        assert math.prod(given_) <= max(voxels, 16**3)


@pytest.mark.parametrize("flat", [0, 1])
def test_networks_begin_their_cubes_where_tiles_do(flat) -> None:
    torch.manual_seed(0)
    options = {"widths": (4, 6), "blocks": (1, 1), "flat": flat, "fine": 2}
    module = build("residual_unet", 1, 3, 1, 3, **options).eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm3d):
            norm.weight.data.fill_(1)
    network = TorchNetwork(module)
    volume = np.random.default_rng(0).random((1, 150, 20, 137)).astype(np.float32)
    seen = []

    def watched(part: np.ndarray) -> np.ndarray:
        seen.append(part.shape)
        return network(part)

    whole, parts = network(volume)[-1], tiled_volume(watched, volume, to(volume, 1), 1)[-1]
    assert len(seen) == 4
    np.testing.assert_allclose(parts, whole, atol=1e-4)
    assert np.abs(np.roll(whole, 1, 0) - whole).mean() > 0.1 * whole.std()


def test_steps_are_multiples_of_every_stride() -> None:
    with torch.device("meta"):
        deepest = build("residual_unet", 1, 1, 1, 3, widths=[1] * 5, blocks=[1] * 5)
    assert STEP % deepest.stride == STEP % deepest.depth_stride == 0
    assert HALO % STEP == 0


def test_memory_decides(monkeypatch) -> None:
    network = Local(1)
    volume = np.zeros((1, 100, 150, 160), np.float32)
    monkeypatch.setattr(volume_tiles, "memory", lambda: 2 * volume.size * BYTES_PER_VOXEL)
    tiled_volume(network, volume, to(volume, 1))
    assert network.seen == [(100, 150, 160)]
    network.seen.clear()
    monkeypatch.setattr(volume_tiles, "memory", lambda: 2 * (volume.size - 1) * BYTES_PER_VOXEL)
    tiled_volume(network, volume, to(volume, 1))
    assert len(network.seen) > 1
    assert all(math.prod(shape) < volume.size for shape in network.seen)
