"""What tiles find together is what the whole image holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointing import Pointing, pointing_image

from spatialembed.files.writing import atomic_write
from spatialembed.inference import volume_tiles
from spatialembed.instances import Instances
from spatialembed.large import mosaic as large_mosaic
from spatialembed.large.labels import number, painted
from spatialembed.large.mosaic import Mosaic, plan, plan_volume
from spatialembed.large.seams import Compare, settle
from spatialembed.large.segment import file_of, read_objects, taken


def put_together(model, image, mosaic, folder) -> np.ndarray:
    """The steps of image.py in this process."""
    for tile in range(len(mosaic)):
        seen = mosaic.seen_by(tile)
        objects = taken(model.predict(image[seen]), seen, mosaic.core_of(tile))
        write(folder, tile, objects)
    return finished(mosaic, folder)


def write(folder, tile, objects) -> None:
    with atomic_write(file_of(folder, tile)) as path, path.open("wb") as file:
        np.savez(file, **objects._asdict())


def finished(mosaic, folder) -> np.ndarray:
    compared = [tile for tile in range(len(mosaic)) if Compare(mosaic, folder)(tile)["pairs"]]
    count = number(mosaic, folder, settle(folder, iter(compared)))
    labels = np.full(mosaic.shape, -1, np.int64)
    for tile in range(len(mosaic)):
        labels[mosaic.core_of(tile)] = painted(mosaic, folder, tile)
    assert labels.min() >= 0
    assert set(np.unique(labels)) - {0} == set(range(1, count + 1))
    return labels


def same_objects(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two label maps differ in their numbers only."""
    pairs = np.unique(one.astype(np.int64) * 2**31 + two)
    return all(len(np.unique(side)) == len(pairs) for side in np.divmod(pairs, 2**31))


@given(
    st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 330), st.integers(1, 330)), st.booleans()
)
@settings(max_examples=15, deadline=None)
def test_tiles_find_what_the_whole_image_holds(tmp_path_factory, seed, shape, refine) -> None:
    image = pointing_image(shape, seed)
    model = Pointing(refine=refine).load()
    whole = model.predict(image).label_map
    labels = put_together(
        model, image, Mosaic(shape, (96, 96), (96, 96)), tmp_path_factory.mktemp("part")
    )
    assert same_objects(labels, whole)


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 80), st.integers(1, 110), st.integers(1, 110)),
    st.booleans(),
)
@settings(max_examples=6, deadline=None)
def test_tiles_find_what_the_whole_volume_holds(tmp_path_factory, seed, shape, refine) -> None:
    volume = pointing_image(shape, seed)
    model = Pointing(refine=refine, dims=3).load()
    whole = model.predict(volume).label_map
    mosaic = Mosaic(shape, (32, 48, 64), (32, 40, 40))
    labels = put_together(model, volume, mosaic, tmp_path_factory.mktemp("part"))
    assert same_objects(labels, whole)


def test_an_overlap_that_cuts_objects_loses_and_doubles_none(tmp_path) -> None:
    """Objects wider than the overlap: the two sides see other halves, and one of them stays."""
    image = pointing_image((300, 300), 3, 60)
    model = Pointing().load()
    whole = model.predict(image)
    labels = put_together(model, image, Mosaic((300, 300), (100, 100), (16, 16)), tmp_path)
    for k in range(len(whole)):
        here = labels[whole.label_map == k + 1]
        ids, counts = np.unique(here[here > 0], return_counts=True)
        assert len(ids)
        assert counts.max() > 0.5 * counts.sum()


def test_of_two_that_claim_the_same_the_better_stays(tmp_path) -> None:
    """Two tiles side by side see one object otherwise, and a second one overlaps it a little."""
    mosaic = Mosaic((40, 80), (40, 40), (20, 20))
    left, right = (np.zeros((40, 60), np.int32) for _ in range(2))
    left[10:20, 30:46] = 1  # columns 30 to 45: its middle is at 38
    left[30:36, 36:48] = 2
    right[10:20, 14:26] = 1  # columns 34 to 45, of a better score: its middle is at 40
    right[34:40, 16:40] = 2  # overlaps the other's second object in 2 of 6 rows
    for tile, label_map, scores in ((0, left, [0.8, 0.7]), (1, right, [0.9, 0.6])):
        found = Instances.from_label_map(label_map, np.array(scores, np.float32))
        write(tmp_path, tile, taken(found, mosaic.seen_by(tile), mosaic.core_of(tile)))
    labels = finished(mosaic, tmp_path)
    assert len(np.unique(labels)) == 4
    better = labels[15, 40]
    assert (labels[10:20, 34:46] == better).all()
    assert not labels[10:20, 30:34].any()  # the worse one is gone altogether
    assert (labels[30:36, 36:48] == labels[30, 36]).all()  # pixels of two go to the better one
    assert (labels[36:40, 36:60] == labels[39, 59]).all()
    assert labels[39, 59] not in (0, better, labels[30, 36])


def test_an_object_near_a_border_is_never_left_to_the_other(tmp_path) -> None:
    """The two sides see its box a pixel apart, so that each would give it to the other."""
    mosaic = Mosaic((40, 80), (40, 40), (20, 20))
    for tile, columns in ((0, slice(36, 46)), (1, slice(14, 22))):
        label_map = np.zeros((40, 60), np.int32)
        label_map[10:20, columns] = 1
        found = Instances.from_label_map(label_map)
        objects = taken(found, mosaic.seen_by(tile), mosaic.core_of(tile))
        assert len(objects.score) == 1
        write(tmp_path, tile, objects)
    assert finished(mosaic, tmp_path).max() == 1


def test_objects_come_back_from_their_file(tmp_path) -> None:
    image = pointing_image((130, 150), 1)
    model, mosaic = Pointing().load(), Mosaic((130, 150), (64, 64), (64, 64))
    seen, core = mosaic.seen_by(4), mosaic.core_of(4)
    found = model.predict(image[seen])
    objects = taken(found, seen, core)
    write(tmp_path, 4, objects)
    again = read_objects(tmp_path, 4)
    for name, array in objects._asdict().items():
        np.testing.assert_array_equal(array, getattr(again, name))
    assert (np.bincount(again.core(core).ravel(), minlength=len(found))[1:] > 0).any()
    total = np.bincount(again.outer_number, minlength=len(again.area))
    total += np.bincount(again.core(core).ravel(), minlength=len(again.area) + 1)[1:]
    np.testing.assert_array_equal(total, again.area)


SIDES = {2: st.integers(1, 3000), 3: st.integers(1, 150)}


@pytest.mark.parametrize(("dims", "unit"), [(2, 128), (3, 32)])
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_cores_cover_an_image_once(dims, unit, data) -> None:
    shape = data.draw(st.tuples(*[SIDES[dims]] * dims))
    core = data.draw(st.tuples(*[st.integers(1, 9).map(lambda n: unit * n)] * dims))
    overlap = tuple(min(n, data.draw(st.integers(0, 300))) for n in core)
    mosaic = Mosaic(shape, core, overlap)
    covered = np.zeros(shape, np.uint8)
    for tile in range(len(mosaic)):
        covered[mosaic.core_of(tile)] += 1
        sides = zip(mosaic.core_of(tile), mosaic.seen_by(tile), shape, overlap, strict=True)
        for own, seen, side, by in sides:
            assert seen.start == max(0, own.start - by)
            assert seen.stop == min(side, own.stop + by)
        for other in range(len(mosaic)):
            assert (other in mosaic.neighbours(tile)) == (tile in mosaic.neighbours(other))
            assert (other in mosaic.neighbours(tile)) == _touch(mosaic, tile, other)
    assert (covered == 1).all()


def _touch(mosaic: Mosaic, one: int, two: int) -> bool:
    sides = zip(mosaic.core_of(one), mosaic.core_of(two), strict=True)
    return one != two and all(a.start <= b.stop and b.start <= a.stop for a, b in sides)


def test_a_core_is_no_smaller_than_the_overlap() -> None:
    with pytest.raises(ValueError, match="less than an overlap"):
        Mosaic((1000, 1000), (96, 96), (128, 128))
    mosaic = plan((50_000, 50_000), 64, 0.15, 427)
    assert mosaic.core[0] >= mosaic.overlap[0] >= 640


@pytest.mark.parametrize(("workers", "zoom"), [(1, 1.0), (2, 1.0), (2, 3.0), (64, 1.0)])
def test_tiles_are_bounded_whatever_the_image(workers, zoom) -> None:
    near, far = (plan((side, side), workers, zoom, 60) for side in (100_000, 10**6))
    assert (near.core, near.overlap) == (far.core, far.overlap)
    assert near.core[0] % 32 == 0
    assert near.overlap[0] >= max(90, 128 / zoom)
    assert (near.core[0] + 2 * near.overlap[0]) * zoom <= 4096
    assert plan((200, 300), workers, zoom).core[0] <= 332


@pytest.mark.parametrize("depth", [10, 60, 200, 5000])
@pytest.mark.parametrize(("zoom", "flatness"), [(1.0, 1.0), (0.76, 2.7), (2.5, 8.0)])
def test_tiles_of_volumes_are_bounded_whatever_the_volume(depth, zoom, flatness) -> None:
    for sides in ((2000, 2000), (100_000, 90_000), (40, 70)):
        mosaic = plan_volume((depth, *sides), 2, zoom, 25.6, flatness, 8)
        (deep, tall, wide), (halo, around, _) = mosaic.core, mosaic.overlap
        assert tall == wide
        assert deep % 32 == tall % 32 == halo % 32 == 0
        assert halo >= max(32, 38.4 / flatness)
        assert around >= max(40 / zoom, 38.4)
        assert deep < depth + 64 + halo
        assert tall <= max(*sides, around) + 32
        seen = min(deep + 2 * halo, depth) * ((tall + 2 * around) * zoom) ** 2
        least = -(-around // 32) * 32
        assert seen <= volume_tiles.MOST or tall == least


def test_little_memory_makes_small_tiles_of_volumes(monkeypatch) -> None:
    monkeypatch.setattr(large_mosaic, "memory", lambda: 2**32)
    mosaic = plan_volume((300, 3000, 3000), 4, 1.0, None, 1.0, 32)
    assert mosaic.core == (32, 64, 64)
    assert mosaic.overlap == (32, 64, 64)
