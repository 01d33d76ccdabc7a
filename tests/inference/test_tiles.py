"""Tiles give what the whole image gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from test_predictor import bright, squares

from spatialembed.inference import tiles
from spatialembed.inference.resizing import resized, sampled
from spatialembed.inference.tiles import HALO, LEAST, STEP, spans, tiled
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.inference.zoom import Enlarged, Part
from spatialembed.models import build

SIDE = LEAST


def same(image: np.ndarray) -> Enlarged:
    return Part.whole(image.shape[1:]).enlarged(1)


def test_a_local_network_gives_the_same() -> None:
    def blurred(image: np.ndarray) -> np.ndarray:
        seen.append(image.shape[1:])
        assert image.flags.c_contiguous
        return np.stack([ndimage.uniform_filter(c, 2 * HALO - 1) for c in (*image, image[0] ** 2)])

    seen: list[tuple[int, ...]] = []
    rng = np.random.default_rng(0)
    image = rng.integers(0, 2, (2, 900, 1100)).astype(np.float64)
    whole = blurred(image)
    for side in (SIDE, SIDE + STEP):
        seen.clear()
        np.testing.assert_allclose(tiled(blurred, image, same(image), side), whole, atol=1e-6)
        assert len(seen) > 1
        assert max(max(shape) for shape in seen) <= side


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("zoom", [0.7, 1.0, 1.53])
def test_enlarged_in_tiles_is_enlarged_as_a_whole(zoom, part) -> None:
    def local(image: np.ndarray) -> np.ndarray:
        seen.append(image.shape)
        return np.stack([ndimage.uniform_filter(image[0], HALO - 1), image[0] * 2])

    seen: list[tuple[int, ...]] = []
    image = np.random.default_rng(0).random((1, 1300, 1150)).astype(np.float32)
    cut = Part(slice(40, 1340), slice(70, 1220), (1500, 1220))
    to = (cut if part else Part.whole((1300, 1150))).enlarged(zoom)
    expected = sampled(local(resized(image, to)), to)
    seen.clear()
    np.testing.assert_allclose(tiled(local, image, to, SIDE), expected, atol=1e-5)
    assert len(seen) > 1
    assert len(set(seen)) == 1


@given(st.integers(1, 9000), st.integers(SIDE // STEP, 20))
@settings(deadline=None)
def test_each_pixel_of_a_line_is_one_parts_own_and_far_from_what_that_does_not_see(
    length, steps
) -> None:
    parts = spans(length, steps * STEP)
    assert [core.start for _, core in parts] == [0, *(core.stop for _, core in parts[:-1])]
    assert parts[-1][1].stop == length
    longest = max(seen.stop - seen.start for seen, _ in parts)
    assert longest <= steps * STEP
    for seen, core in parts:
        assert 0 <= seen.start < core.stop <= seen.stop <= length
        assert seen.start % STEP == 0
        assert seen.stop - seen.start == longest
        assert core.start - seen.start >= HALO or seen.start == core.start == 0
        assert seen.stop - core.stop >= HALO or seen.stop == core.stop == length


def test_memory_is_what_a_container_is_allowed(tmp_path, monkeypatch) -> None:
    limits = tmp_path / "max", tmp_path / "none"
    monkeypatch.setattr(tiles, "LIMITS", limits)
    limits[0].write_text("max\n")
    whole = tiles.memory()
    limits[0].write_text(f"{2**20}\n")
    assert tiles.memory() == 2**20 < whole


def test_what_fits_is_not_cut() -> None:
    image = np.zeros((1, 300, 400), np.float32)
    assert tiled(lambda given: given, image, same(image), SIDE) is image


@pytest.mark.parametrize("name", ["residual_unet", "branched_erfnet"])
def test_networks_begin_their_squares_where_tiles_do(name) -> None:
    """Offsets of one pixel would show everywhere; what is left comes from beyond the halo."""
    torch.manual_seed(0)
    network = TorchNetwork(build(name, 1, 2, 1).eval())
    seen = []

    def watched(image: np.ndarray) -> np.ndarray:
        seen.append(image.shape)
        return network(image)

    image = np.random.default_rng(0).random((1, 800, 860)).astype(np.float32)
    whole, parts = network(image)[-1], tiled(watched, image, same(image), SIDE)[-1]  # seed logits
    assert len(seen) > 1
    assert np.median(np.abs(parts - whole)) < 0.01 * whole.std()
    shifted = np.roll(whole, 1, 1)
    assert np.median(np.abs(shifted - whole)) > 0.1 * whole.std()


def test_the_predictor_cuts(monkeypatch) -> None:
    sides = []
    monkeypatch.setattr(tiles, "_side", lambda network: sides.append(SIDE) or SIDE)
    found = bright().predict(np.kron(squares()[..., 0], np.ones((20, 20), np.uint8)))
    assert sides
    monkeypatch.undo()
    whole = bright().predict(np.kron(squares()[..., 0], np.ones((20, 20), np.uint8)))
    np.testing.assert_array_equal(found.label_map, whole.label_map)


def test_memory_decides(monkeypatch) -> None:
    room = 2 * tiles.BYTES_PER_PIXEL
    for held, side in ((0, SIDE), (2**60, tiles.LARGEST), (room * 2000**2, 1920)):
        monkeypatch.setattr(tiles, "memory", lambda held=held: held)
        assert tiles.side_within(held) == side
        assert tiles._side(pytest.fail) == min(side, tiles.MOST)


def test_where_the_system_does_not_say_a_guess_is_taken(monkeypatch) -> None:
    monkeypatch.delattr(tiles.os, "sysconf")
    assert tiles.memory() == tiles.GUESSED
