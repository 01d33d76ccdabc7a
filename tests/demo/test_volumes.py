"""Generated volumes: the same every time, truth in whole pieces, depth that harms, TIFFs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from spatialembed.demo.microscopy.microscope import blur, photograph
from spatialembed.demo.volumes import FIRST, draw_volume, write_volumes
from spatialembed.errors import UserError

SMALL = (12, 40, 44)
Volume = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def volumes() -> list[Volume]:
    return [draw_volume(seed) for seed in range(3)]


def whole(mask: np.ndarray) -> list[tuple[slice, ...]]:
    """Boxes of the nuclei that no side of the volume cuts."""
    boxes = ndimage.find_objects(mask)
    return [
        box
        for box in boxes
        if all(s.start > 0 and s.stop < n for s, n in zip(box, mask.shape, strict=True))
    ]


def touching(mask: np.ndarray) -> set[int]:
    """Nuclei that share a face of a pixel with another."""
    found: set[int] = set()
    for axis in range(3):
        planes = np.moveaxis(mask, axis, 0)
        a, b = planes[1:], planes[:-1]
        meet = (a != b) & (a > 0) & (b > 0)
        found |= set(a[meet].tolist()) | set(b[meet].tolist())
    return found


def test_volume_is_a_function_of_its_seed() -> None:
    image, mask = draw_volume(5, SMALL)
    again, same = draw_volume(5, SMALL)
    assert np.array_equal(image, again)
    assert np.array_equal(mask, same)
    assert not np.array_equal(mask, draw_volume(6, SMALL)[1])


def test_types_and_shapes(volumes: list[Volume]) -> None:
    for image, mask in volumes:
        assert image.shape == mask.shape == (32, 96, 96)
        assert image.dtype == mask.dtype == np.uint16
        assert 1000 < image.max() <= 4095
        assert image.min() > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(0.4, 0.15, 0.15), (1.0, 0.2, 0.3), (0.25, 0.25, 0.25)])
def test_every_nucleus_is_one_piece_of_some_size(
    seed: int, spacing: tuple[float, float, float]
) -> None:
    mask = draw_volume(seed, (20, 48, 50), spacing)[1]
    sizes = np.bincount(mask.ravel())[1:]
    assert len(sizes) >= 5
    assert (sizes > 0).all(), "ids have gaps"
    # of a ball of the least diameter, shrunk along its axes, and with 40% of it gone
    assert sizes.min() * np.prod(spacing) > 0.25 * np.pi / 6 * 2.6**3
    for k in range(1, len(sizes) + 1):
        assert ndimage.label(mask == k)[1] == 1


def test_count_is_met_where_there_is_room() -> None:
    assert draw_volume(1, count=40)[1].max() == 40
    assert draw_volume(1, SMALL, count=0)[1].max() == 0
    crowded = draw_volume(1, SMALL, count=200)[1]
    assert 5 < crowded.max() < 200
    assert len(np.unique(crowded)) == crowded.max() + 1


def test_most_nuclei_touch(volumes: list[Volume]) -> None:
    for _, mask in volumes:
        assert len(touching(mask)) >= 0.8 * mask.max()


def test_nuclei_are_as_deep_as_wide_in_micrometres() -> None:
    for spacing, shape in [
        ((0.4, 0.15, 0.15), (40, 110, 110)),
        ((0.2, 0.4, 0.25), (80, 40, 66)),
    ]:
        boxes = whole(draw_volume(0, shape, spacing)[1])
        pixels = np.array([[s.stop - s.start for s in box] for box in boxes])
        z, y, x = (pixels * spacing).mean(0)
        assert len(boxes) > 30
        assert 2.4 < y < 4
        assert z == pytest.approx(y, rel=0.12)
        assert x == pytest.approx(y, rel=0.12)


def test_nuclei_shine_and_each_otherwise(volumes: list[Volume]) -> None:
    for image, mask in volumes:
        ids = np.arange(1, mask.max() + 1)
        levels = ndimage.mean(image, mask, ids)
        assert levels.mean() > 2 * image[mask == 0].mean()
        assert levels.std() > 0.15 * levels.mean()


def spread(light: np.ndarray, axis: int) -> float:
    """Standard deviation of where light is, along an axis, in pixels."""
    profile = light.sum(tuple(k for k in range(3) if k != axis))
    place = np.arange(len(profile))
    middle = np.average(place, weights=profile)
    return float(np.average((place - middle) ** 2, weights=profile) ** 0.5)


def test_blur_grows_with_depth_and_is_wider_along_it() -> None:
    spacing = np.array([0.2, 0.1, 0.1])
    widths = []
    for plane in (20, 100, 180):
        light = np.zeros((201, 31, 31), np.float32)
        light[plane, 15, 15] = 1
        seen = blur(light, spacing)
        widths.append([spread(seen, axis) * spacing[axis] for axis in range(3)])
    z, y, x = np.array(widths).T
    assert (np.diff(z) > 0.05).all()
    assert (np.diff(y) > 0.02).all()
    assert y == pytest.approx(x)
    assert (z > 2.5 * y).all()


def test_light_fades_with_depth() -> None:
    spacing = np.array([0.4, 0.15, 0.15])
    rng = np.random.default_rng(0)
    levels = photograph(np.ones((40, 32, 32), np.float32), spacing, rng).mean((1, 2))
    thirds = [levels[k : k + 13].mean() for k in (0, 13, 26)]
    assert thirds[0] > 1.1 * thirds[1] > 1.1**2 * thirds[2]


def test_files_are_stacks_with_their_spacing(tmp_path: Path) -> None:
    write_volumes(tmp_path, 2, 1, 1, seed=3, shape=SMALL, spacing=(0.5, 0.2, 0.25), count=6)
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    names = {"train": ["000", "001"], "val": ["000"], "test": ["000"]}
    assert files == sorted(
        f"{split}/{part}/volume_{name}.tif"
        for split, some in names.items()
        for part in ("images", "masks")
        for name in some
    )
    drawn = draw_volume((3, FIRST["val"]), SMALL, (0.5, 0.2, 0.25), 6)
    for part, pixels in zip(("images", "masks"), drawn, strict=True):
        with tifffile.TiffFile(tmp_path / "val" / part / "volume_000.tif") as file:
            assert file.is_imagej
            assert file.series[0].axes == "ZYX"
            assert file.imagej_metadata["spacing"] == 0.5
            assert file.imagej_metadata["unit"] == "um"
            x, y = (file.pages[0].tags[f"{axis}Resolution"].value for axis in "XY")
            assert x[1] / x[0] == pytest.approx(0.25)
            assert y[1] / y[0] == pytest.approx(0.2)
            assert np.array_equal(file.asarray(), pixels)


def test_volumes_of_splits_differ_and_hang_on_nothing_else(tmp_path: Path) -> None:
    for name, train in (("few", 1), ("more", 2)):
        write_volumes(tmp_path / name, train, 1, 1, seed=4, shape=SMALL, count=4)
    few = {p.relative_to(tmp_path / "few"): p for p in (tmp_path / "few").rglob("*.tif")}
    assert len({p.read_bytes() for p in few.values()}) == 6
    for name, path in few.items():
        assert path.read_bytes() == (tmp_path / "more" / name).read_bytes()


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(UserError, match="exists already"):
            write_volumes(out, 1, 0, 0, shape=SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("seed", "shape", "spacing", "count", "match"),
    [
        (-1, SMALL, (0.4, 0.15, 0.15), 3, "seed"),
        ((2, -1), SMALL, (0.4, 0.15, 0.15), 3, "seed"),
        (0, (8, 40, 40), (0.4, 0.15, 0.15), 3, "too small"),
        (0, SMALL, (0.4, 0.15, 0.0), 3, "spacing"),
        (0, SMALL, (3.0, 0.15, 0.15), 3, "spacing"),
        (0, SMALL, (0.4, 0.15, float("nan")), 3, "spacing"),
        (0, SMALL, (0.4, 0.15, 0.15), -1, "nuclei"),
        (0, SMALL, (0.4, 0.15, 0.15), 70_000, "nuclei"),
    ],
)
def test_out_of_range_is_a_user_error(
    seed: int | tuple[int, int],
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    count: int,
    match: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match=match):
        draw_volume(seed, shape, spacing, count)
    if isinstance(seed, int):
        with pytest.raises(UserError, match=match):
            write_volumes(tmp_path / "x", 1, 0, 0, seed, shape, spacing, count)
        assert not (tmp_path / "x").exists()


def test_negative_number_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="negative"):
        write_volumes(tmp_path / "x", train=-1)
    assert not (tmp_path / "x").exists()
