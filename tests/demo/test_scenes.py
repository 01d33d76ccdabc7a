"""Generated scenes: the same every time, truth that agrees with itself, a layout that is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatialembed.demo.scenes import VAL_FIRST, Scene, make_scene, make_scenes
from spatialembed.errors import UserError

THINGS = (24, 25, 26, 27, 28, 32, 33)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(7, number, (256, 128)) for number in range(24)]


def objects(scene: Scene) -> dict[int, int]:
    ids, areas = np.unique(scene.instance_ids, return_counts=True)
    return {int(i): int(a) for i, a in zip(ids, areas, strict=True) if i >= 1000}


def test_scene_is_a_function_of_seed_and_number() -> None:
    first, again = make_scene(3, 5, (192, 96)), make_scene(3, 5, (192, 96))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.instance_ids, again.instance_ids)
    for other in (make_scene(3, 6, (192, 96)), make_scene(4, 5, (192, 96))):
        assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("size", [(512, 256), (128, 128), (131, 97), (64, 200), (640, 160)])
def test_any_size(size: tuple[int, int]) -> None:
    scene = make_scene(1, 2, size)
    assert scene.image.shape == (size[1], size[0], 3)
    assert scene.image.dtype == np.uint8
    assert scene.instance_ids.shape == scene.label_ids.shape == size[::-1]


def test_every_pixel_has_a_known_label(scenes: list[Scene]) -> None:
    for scene in scenes:
        ids = scene.instance_ids
        assert np.array_equal(np.where(ids >= 1000, ids // 1000, ids), scene.label_ids)
        assert scene.label_ids.min() >= 1
        assert scene.label_ids.max() <= 33


def test_objects_are_numbered_without_gaps_and_clearly_visible(scenes: list[Scene]) -> None:
    for scene in scenes:
        found = objects(scene)
        for label in {i // 1000 for i in found}:
            assert label in THINGS
            numbers = sorted(i % 1000 for i in found if i // 1000 == label)
            assert numbers == list(range(len(numbers)))
        assert all(area >= 10 for area in found.values())


def test_a_few_scenes_hold_groups_occlusion_and_every_kind(scenes: list[Scene]) -> None:
    seen = {i // 1000 for scene in scenes for i in objects(scene)}
    assert {24, 26} <= seen
    assert len(seen) >= 5
    assert any(np.isin(scene.instance_ids, THINGS).any() for scene in scenes), "no group region"
    assert any(1 in scene.label_ids for scene in scenes), "no ego vehicle"
    assert sum(touching_cars(scene) for scene in scenes) >= 5
    cars = [sum(i // 1000 == 26 for i in objects(scene)) for scene in scenes]
    assert np.mean(cars) >= 2


def test_no_sliver_of_an_object_is_asked_for() -> None:
    for number in range(6):
        areas = objects(make_scene(5, number))
        assert areas
        assert min(areas.values()) >= 60


def touching_cars(scene: Scene) -> int:
    """Pairs of cars with pixels side by side: one stands in front of the other."""
    left, right = scene.instance_ids[:, :-1], scene.instance_ids[:, 1:]
    both = (left // 1000 == 26) & (right // 1000 == 26) & (left != right)
    return len({tuple(sorted(p)) for p in zip(left[both], right[both], strict=True)})


def test_masks_lie_on_the_picture() -> None:
    """A mask's outline must follow edges of the picture: moved aside it follows fewer."""
    there, moved = [], []
    for number in range(6):
        scene = make_scene(11, number, (256, 128))
        grey = scene.image.astype(float).mean(2)
        step = np.abs(np.diff(grey, axis=1))
        edge = (scene.instance_ids[:, 1:] != scene.instance_ids[:, :-1]) & (
            np.maximum(scene.instance_ids[:, 1:], scene.instance_ids[:, :-1]) >= 26000
        )
        there.append(step[edge].mean())
        moved += [step[np.roll(edge, shift, axis=1)].mean() for shift in (-3, 3)]
    assert np.mean(there) > 1.5 * np.mean(moved)


def test_layout_on_disk(tmp_path: Path) -> None:
    make_scenes(tmp_path, train=2, val=1, size=(128, 64), seed=9)
    names = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert len(names) == 9
    for split, count in (("train", 2), ("val", 1)):
        pictures = sorted((tmp_path / "leftImg8bit" / split).glob("*/*_leftImg8bit.png"))
        assert len(pictures) == count
        for k, picture in enumerate(pictures):
            scene = make_scene(9, k + (VAL_FIRST if split == "val" else 0), (128, 64))
            stem = picture.name.removesuffix("_leftImg8bit.png")
            truth = tmp_path / "gtFine" / split / picture.parent.name
            assert np.array_equal(np.asarray(Image.open(picture)), scene.image)
            for kind, ids in (("instanceIds", scene.instance_ids), ("labelIds", scene.label_ids)):
                stored = np.asarray(Image.open(truth / f"{stem}_gtFine_{kind}.png"))
                assert np.array_equal(stored, ids)


@pytest.mark.parametrize(
    ("seed", "number", "size"), [(-1, 0, (128, 128)), (0, -1, (128, 128)), (0, 0, (128, 20))]
)
def test_out_of_range_is_a_user_error(seed: int, number: int, size: tuple[int, int]) -> None:
    with pytest.raises(UserError):
        make_scene(seed, number, size)


def test_negative_count_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="negative"):
        make_scenes(tmp_path / "x", train=-1, val=1)
    assert not (tmp_path / "x").exists()
