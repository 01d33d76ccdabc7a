import sys
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

import spatialembed as se
from spatialembed.demo.sequences import draw_sequence
from spatialembed.errors import UserError
from spatialembed.tracking.costs import near, reach_of_motion
from spatialembed.tracking.objects import measured

pytest.importorskip("laptrack", reason="needs the extra track")


def squares(*frames: dict[int, tuple[int, int, int]], size: int = 60) -> list[np.ndarray]:
    """Label maps with squares: label -> row, column and side."""
    maps = []
    for frame in frames:
        label_map = np.zeros((size, size), np.int32)
        for label, (y, x, side) in frame.items():
            label_map[y : y + side, x : x + side] = label
        maps.append(label_map)
    return maps


def shuffled(maps: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Labels that say nothing of those of other frames."""
    rng = np.random.default_rng(seed)
    news = (np.append(0, rng.permutation(int(maps.max())) + 1) for _ in maps)
    return [new[frame] for new, frame in zip(news, maps, strict=True)]


def test_generated_cells_keep_their_ids_and_divide() -> None:
    drawn = draw_sequence(seed=1, frames=10, side=128, cells=12, cycle=12)
    frames = shuffled(drawn.label_maps)
    tracks = se.track(frames)
    found = {}  # by what is at each object of the truth
    for t, truth in enumerate(drawn.label_maps):
        label_map = tracks.label_map(t)
        assert np.array_equal(label_map > 0, truth > 0)
        for cell in np.unique(truth[truth > 0]).tolist():
            (track,) = np.unique(label_map[truth == cell]).tolist()
            found.setdefault(cell, set()).add(track)
    assert all(len(tracks) == 1 for tracks in found.values())
    assert len({track for (track,) in found.values()}) == len(found) == len(tracks)
    both = {c: m for c, m in drawn.parents.items() if c in found and m in found}
    assert len(both) >= 4
    one = {cell: track for cell, (track,) in found.items()}
    assert tracks.parents == {one[c]: one[m] for c, m in both.items()}


def test_what_a_model_found_is_taken_as_its_label_maps() -> None:
    maps = squares({1: (5, 5, 10)}, {1: (6, 5, 10)})
    boxes = np.array([[5, 5, 15, 15]], np.int32)
    found = [se.Instances(m, np.ones(1, np.float32), np.zeros(1, np.int32), boxes) for m in maps]
    tracks = se.track(found)
    assert tracks.id.tolist() == [1, 1]
    assert np.array_equal(tracks.label_map(1), maps[1])
    for frame in (2, -1):
        with pytest.raises(IndexError, match=f"frame {frame} is none of 0 to 1"):
            tracks.label_map(frame)


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ("folder", "not the name of a folder"),
        (iter([]), "a list of label maps, not list_iterator"),
        ({}, "a list of label maps, not dict"),
        (3, "a list of label maps, not int"),
        ([[[0, 1]], [[0, 1]]], "frame 0 is a list; frames are label maps"),
        ([np.zeros((2, 2), int), None], "frame 1 is a NoneType; frames are label maps"),
    ],
)
def test_what_is_no_sequence_of_label_maps_is_refused(frames, told) -> None:
    with pytest.raises(UserError, match=told):
        se.track(frames)


def test_images_are_no_frames() -> None:
    images = np.random.default_rng(0).integers(100, 4000, (2, 30, 30))
    with pytest.raises(UserError, match="frame 0 is an image, no label map"):
        se.track(images)
    with pytest.raises(UserError, match="frame 1 is an image, no label map"):
        se.track([np.zeros_like(images[0]), *images])
    with pytest.raises(UserError, match="frame 1 is an image, no label map"):
        se.track([squares({1: (5, 5, 10)}, size=30)[0], *images])


def test_long_cells_side_by_side_in_order_are_frames() -> None:
    strips = np.arange(1, 21).repeat(5)[None].repeat(40, 0)
    assert se.track([strips, strips]).label_map(1).max() == 20


@pytest.mark.parametrize("shape", [(96, 96), (8, 96, 96)])
@pytest.mark.parametrize("highest", [60, 255])
def test_smooth_images_of_8_bits_are_no_frames(shape, highest) -> None:
    noise = np.random.default_rng(0).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, (1, 6, 6)[-len(shape) :])
    for least in (0, 5):
        image = (highest * np.clip(smooth / smooth.max(), 0, 1)).round().astype(np.uint8)
        frames = np.stack([np.maximum(image, least)] * 2)
        with pytest.raises(UserError, match=r"frame 0 is (no|an) (map|image).*predict` finds"):
            se.track(frames)


def test_stacks_of_few_objects_are_frames() -> None:
    volume = np.zeros((6, 40, 40), np.int64)
    volume[1:4, 5:12, 5:12], volume[2:5, 20:30, 22:31] = 255, 2**40
    assert len(se.track([volume, volume])) == 2


def test_labels_of_64_bits_are_told_apart_or_refused() -> None:
    frame = np.zeros((40, 40), np.uint64)
    frame[2:9, 2:9], frame[2:9, 9:16], frame[20:30, 20:30] = 2**60, 2**60 + 1, 2**60 + 2
    tracks = se.track([frame, frame])
    assert tracks.objects.label.tolist() == 2 * [2**60, 2**60 + 1, 2**60 + 2]
    assert np.unique(tracks.label_map(1)[frame > 0]).tolist() == [1, 2, 3]
    np.testing.assert_array_equal(
        tracks.label_map(0)[2:9, 2:16], np.repeat([[1, 2]], 7, 1).repeat(7, 0)
    )
    frame[frame > 0] += np.uint64(2**63)
    with pytest.raises(UserError, match=r"frame 0 has labels of 2\^63 and more; number"):
        se.track([frame, frame])


def test_a_cell_that_is_missing_for_a_frame_is_the_same_unless_gaps_may_not_be() -> None:
    frames = squares(
        {1: (5, 5, 10), 2: (40, 40, 10)}, {7: (5, 6, 10)}, {1: (41, 40, 10), 2: (5, 7, 10)}
    )
    tracks = se.track(frames)
    assert tracks.id.tolist() == [1, 2, 1, 2, 1]  # labels 1 and 2, 7, 1 and 2
    assert tracks.gaps() == 1
    assert len(se.track(frames, max_gap=0)) == 3
    assert len(se.track(frames, max_gap=np.int64(0), divisions=np.False_)) == 3


def test_gaps_longer_than_asked_for_are_not_closed() -> None:
    other = {2: (40, 40, 10)}
    frames = squares({1: (5, 5, 10)} | other, other, other, {1: (5, 5, 10)} | other)
    assert len(se.track(frames)) == 3
    assert len(se.track(frames, max_gap=2)) == 2


def test_halves_are_daughters_unless_nothing_may_divide() -> None:
    frames = squares({1: (10, 10, 14)}, {1: (10, 10, 14)}, {1: (8, 8, 9), 2: (17, 17, 9)})
    tracks = se.track(frames)
    assert tracks.id.tolist() == [1, 1, 2, 3]
    assert tracks.parents == {2: 1, 3: 1}
    assert tracks.edges().tolist() == [[0, 1], [1, 2], [1, 3]]
    whole = se.track(frames, divisions=False)
    assert not whole.parents
    assert len(whole) == 2


def test_a_small_cell_that_comes_beside_a_whole_one_is_no_daughter() -> None:
    frames = squares({1: (10, 10, 14)}, {1: (10, 10, 14), 2: (25, 10, 6)})
    assert se.track(frames).parents == {}


def test_what_is_further_away_than_asked_is_another() -> None:
    frames = squares({1: (10, 10, 10)}, {1: (10, 26, 10)})  # 16 pixels, diameters of 11.3
    assert len(se.track(frames, max_distance=1.5)) == 1
    assert len(se.track(frames, max_distance=1.3)) == 2


def test_long_objects_whose_centers_jump_are_one_where_they_overlap() -> None:
    frames = squares({1: (30, 0, 4)}, {1: (30, 0, 4)})
    frames[0][30:34, :20], frames[1][30:34, :60] = 1, 1  # 20 pixels, by diameters of 14 at most
    assert len(se.track(frames, max_distance=0.5)) == 1


def test_volumes_are_linked_by_their_spacing() -> None:
    frames = [np.zeros((8, 20, 20), np.int32) for _ in range(2)]
    frames[0][1:3, 4:10, 4:10] = 1
    frames[1][5:7, 4:10, 4:10] = 1  # four planes up
    assert len(se.track(frames, max_distance=1.0)) == 1
    assert len(se.track(frames, max_distance=1.0, spacing=(5.0, 1.0, 1.0))) == 2


def test_empty_frames_begin_anew_and_nothing_at_all_is_no_track() -> None:
    box = {3: (10, 10, 10)}
    tracks = se.track(squares({}, box, {}, {}, box, {}))
    assert tracks.id.tolist() == [1, 2]
    nothing = se.track(squares({}, {}, {}))
    assert len(nothing) == 0
    assert not nothing.label_map(1).any()
    assert nothing.edges().shape == (0, 2)


def test_the_same_frames_give_the_same_tracks() -> None:
    frames = shuffled(draw_sequence(seed=2, frames=5, side=96, step=0.4).label_maps)
    one, other = se.track(frames), se.track(frames)
    assert np.array_equal(one.id, other.id)
    assert one.parents == other.parents


@pytest.mark.parametrize(
    ("frames", "options", "told"),
    [
        (squares({}), {}, "two frames"),
        (squares({}, {}), {"max_distance": 0}, "max_distance"),
        (squares({}, {}), {"max_distance": float("nan")}, "max_distance"),
        (squares({}, {}), {"max_gap": -1}, "max_gap"),
        (squares({}, {}), {"max_gap": 1.5}, "max_gap must be a whole number"),
        (squares({}, {}), {"divisions": "no"}, "divisions must be true or false, not 'no'"),
        ([np.zeros((4, 4)), np.zeros((4, 4))], {}, "integers"),
        ([np.zeros((4, 4), int), np.zeros((4, 5), int)], {}, "frame 1"),
        ([np.zeros((4, 4), int), np.full((4, 4), -1)], {}, "negative"),
        ([np.zeros(4, int), np.zeros(4, int)], {}, "axes"),
        ([np.zeros((9, 8, 3), int)] * 2, {}, "frames of 9 x 8 x 3 look like images in color"),
        (squares({}, {}), {"spacing": (1.0, 0.0)}, "spacing"),
        (squares({}, {}), {"spacing": (1.0, 1.0, 1.0)}, "spacing"),
    ],
)
def test_what_is_wrong_is_said(frames, options, told) -> None:
    with pytest.raises(UserError, match=told):
        se.track(frames, **options)


def test_without_laptrack_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(UserError, match=r"spatialembed\[track\]"):
        se.track(squares({1: (5, 5, 10)}, {1: (5, 5, 10)}))


@pytest.mark.parametrize("reach", [0.5, 1.0, 3.0])
def test_pairs_are_those_of_all_pairs(reach: float) -> None:
    maps = shuffled(draw_sequence(seed=4, frames=2, side=96, cells=14, step=0.5).label_maps)
    one, other = (measured(t, m, (1.0, 1.0)) for t, m in enumerate(maps))
    found = near(one, other, maps, reach)
    kept = {}
    for i, k in product(range(len(one)), range(len(other))):
        a, b = maps[0] == one.label[i], maps[1] == other.label[k]
        centers = [np.mean(np.nonzero(part), axis=1) for part in (a, b)]
        wide = (2 * np.sqrt(a.sum() / np.pi) + 2 * np.sqrt(b.sum() / np.pi)) / 2
        distance = np.linalg.norm(centers[0] - centers[1]) / wide
        if distance <= reach:
            kept[i, k] = distance, (a & b).sum() / (a | b).sum()
    rows = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(rows) == len(kept)
    for row, distance, iou in zip(rows, found.distance, found.iou, strict=True):
        assert (distance, iou) == pytest.approx(kept[row])


def test_how_far_is_looked_follows_how_far_objects_go() -> None:
    def pairs(step: int):
        maps = squares(
            {1: (5, 5, 10), 2: (35, 5, 10)}, {1: (5, 5 + step, 10), 2: (35, 5 + step, 10)}
        )
        one, other = (measured(t, m, (1.0, 1.0)) for t, m in enumerate(maps))
        return near(one, other, maps, 2.0)

    wide = 2 * 10 / np.sqrt(np.pi)
    assert reach_of_motion([pairs(0)]) == 0.6
    assert reach_of_motion([pairs(3)]) == pytest.approx(3 * 3 / wide + 0.4)
    assert reach_of_motion([pairs(15)]) == 2.0
    assert (
        reach_of_motion([near(*[measured(0, np.zeros((4, 4), int), (1.0, 1.0))] * 2, [], 2.0)])
        == 0.6
    )


def test_masked_arrays_are_refused_as_such() -> None:
    frames = [np.ma.masked_equal(frame, 0) for frame in squares({1: (5, 5, 9)}, {1: (6, 6, 9)})]
    with pytest.raises(UserError, match=r"frame 0 is a masked array; give frame\.filled\(0\)"):
        se.track(frames)
