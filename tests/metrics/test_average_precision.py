"""Scores against numbers computed by stardist.matching 0.9.2, and by hand."""

import json

import numpy as np
import pytest

from spatialembed.errors import UserError
from spatialembed.metrics.average_precision import THRESHOLDS, Scores, score_images, worst_first
from spatialembed.metrics.matching import match


def discs(image, count, shift=0, shrink=0, skip=0, size=48):
    """Label image made by a formula alone, so that the numbers below stay true."""
    labels = np.zeros((size, size + 16), np.int32)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    for k in range(count):
        if skip and k % skip == 0:
            continue
        center_y = (17 * k * k + 31 * k + 7 * image) % size
        center_x = (29 * k + 13 * image * k) % (size + 16) + shift * (k % 3)
        radius = 4 + (k + image) % 4 - shrink * (k % 2)
        labels[(y - center_y) ** 2 + (x - center_x) ** 2 <= radius**2] = 3 * k + 1
    return labels


def scenes():
    """Six pairs (found, truth): good, shifted, missing, invented, empty, and with wide steps."""
    half = np.kron(np.arange(1, 7).reshape(2, 3), np.ones((4, 4), np.int32)).astype(np.int32)
    return [
        (discs(0, 12, shift=1), discs(0, 12)),
        (discs(1, 9, shrink=1, skip=4), discs(1, 9)),
        (discs(2, 15, shift=1, shrink=1), discs(2, 15, skip=5)),
        (discs(3, 3), np.zeros((48, 64), np.int32)),
        (np.zeros((48, 64), np.int32), np.zeros((48, 64), np.int32)),
        # every true object is two found ones of IoU one half each: the threshold leaves a choice
        (half * 2 + (np.arange(12) % 4 < 2), half),
    ]


@pytest.fixture(scope="module")
def stardist():
    return json.loads(STARDIST)


@pytest.mark.parametrize("way", ["mean_over_images", "pooled"])
@pytest.mark.parametrize("measure", ["ap", "precision", "recall", "f1", "pq", "sq"])
def test_scores_equal_stardist(stardist, way, measure):
    images = [(found, truth, None, None, str(i)) for i, (found, truth) in enumerate(scenes())]
    scores = score_images(images, thresholds=stardist["thresholds"])
    got = scores["classes"]["object"][way][measure]
    np.testing.assert_allclose(got, stardist[way][measure], atol=1e-6)


def with_classes(label_map, classes):
    return type("Found", (), {"label_map": label_map, "classes": np.array(classes, int)})()


def test_means_errors_and_rows_by_hand():
    truth = np.array([[1, 1, 2, 2]])
    perfect, half = truth, np.array([[1, 1, 0, 0]])
    scores = score_images(
        [(perfect, truth, None, None, "a"), (half, truth, None, None, "b")], thresholds=(0.5, 0.75)
    )
    assert json.loads(json.dumps(scores)) == scores
    held = scores["classes"]["object"]
    assert held["mean_over_images"]["ap"] == [0.75, 0.75]
    assert held["mean_over_images"]["ap_mean"] == 0.75
    assert held["standard_error"] == pytest.approx([0.25, 0.25])
    assert held["pooled"]["f1"] == pytest.approx([6 / 7] * 2)
    assert (held["objects"], held["found"], held["images"]) == (4, 3, 2)
    assert scores["images"][1] == {"name": "b", "ap50": 0.5, "ap": 0.5, "n_true": 2, "n_found": 1}
    assert scores["mean"]["pooled"] == held["pooled"]


def test_found_in_an_ignore_region_is_no_error_but_may_match():
    truth = np.array([[1, 1, 0, 0, 0]])
    ignore = np.array([[True, True, True, True, False]])
    for label_map, counts in (
        (np.array([[0, 0, 2, 2, 2]]), (0, 0, 1)),
        (np.array([[0, 0, 0, 2, 2]]), (0, 1, 1)),
        (np.array([[1, 1, 0, 0, 0]]), (1, 0, 0)),
    ):
        scores = Scores.of(match(label_map, truth, ignore), (0.5,))
        assert (scores.tp[0], scores.fp[0], scores.fn[0]) == counts


def test_classes_are_scored_apart_over_the_images_that_hold_them():
    truth = np.array([[1, 1, 2, 2]])
    class_map = np.array([[0, 0, 1, 1]])
    only_cars = (np.array([[4, 4, 0, 0]]), np.array([[0, 0, -1, -1]]))
    scores = score_images(
        [
            (with_classes(truth, [0, 0]), truth, class_map, None, "a"),
            (with_classes(np.array([[1, 1, 0, 0]]), [0]), *only_cars, None, "b"),
        ],
        ("car", "person", "bus"),
    )
    car, person, bus = (scores["classes"][c] for c in ("car", "person", "bus"))
    assert car["mean_over_images"]["ap"][0] == pytest.approx((0.5 + 1) / 2)
    assert car["pooled"]["ap"][0] == pytest.approx(2 / 3)
    assert (person["images"], person["mean_over_images"]["ap"][0]) == (1, 0)
    assert (bus["images"], bus["objects"], bus["pooled"]["ap_mean"]) == (0, 0, 0)
    assert scores["mean"]["pooled"]["ap"][0] == pytest.approx((2 / 3 + 0) / 2)
    assert scores["images"][0]["ap50"] == pytest.approx(1 / 3)


def test_worst_images_come_first_and_correctly_empty_ones_last():
    one, none = np.array([[1, 1, 1]]), np.array([[0, 0, 0]])
    images = [
        (one, one, None, None, "right"),
        (none, none, None, None, "empty"),
        (none, one, None, None, "missed"),
    ]
    names = [row["name"] for row in worst_first(score_images(images))]
    assert names == ["missed", "right", "empty"]


def test_thresholds_are_those_of_the_published_tables():
    np.testing.assert_allclose(THRESHOLDS, np.arange(50, 95, 5) / 100)


@pytest.mark.parametrize(
    ("images", "options", "said"),
    [
        ([], {}, "no image"),
        ([(np.ones((2, 2), int), np.ones((3, 2), int), None, None, "x.png")], {}, "x.png"),
        (
            [(with_classes(np.ones((1, 1), int), [1]), np.ones((1, 1), int), None, None, "y")],
            {},
            "y",
        ),
        (
            [(np.ones((1, 1), int), np.ones((1, 1), int), None, None, "z")],
            {"thresholds": [50]},
            "50",
        ),
    ],
)
def test_bad_input_is_named(images, options, said):
    with pytest.raises(UserError, match=said):
        score_images(images, **options)


STARDIST = """
{
"thresholds": [0.3, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9],
"mean_over_images": {
 "ap": [0.4944444, 0.4688034, 0.350176, 0.3354701, 0.2498291,
  0.2022727, 0.1418875, 0.0938655, 0.0490476, 0.0490476],
 "precision": [0.55, 0.5361111, 0.4305556, 0.4194444, 0.3388889,
  0.3, 0.2194444, 0.1472222, 0.0916667, 0.0916667],
 "recall": [0.6111111, 0.5972222, 0.4027778, 0.3888889, 0.3240741,
  0.2824074, 0.2175926, 0.1435185, 0.087963, 0.087963],
 "f1": [0.5592593, 0.5453704, 0.4095679, 0.3972222, 0.3265432,
  0.2864198, 0.2157407, 0.1441358, 0.0885802, 0.0885802],
 "pq": [0.3932222, 0.3870165, 0.3186468, 0.3117416, 0.267227,
  0.240221, 0.1895498, 0.1339502, 0.0885802, 0.0885802],
 "sq": [0.4593538, 0.4644851, 0.3878553, 0.3915771, 0.4077634,
  0.4177769, 0.4397703, 0.4825389, 0.5, 0.5]
},
"pooled": {
 "ap": [0.7058824, 0.6730769, 0.45, 0.4262295, 0.3384615,
  0.2794118, 0.2083333, 0.1298701, 0.0740741, 0.0740741],
 "precision": [0.75, 0.7291667, 0.5625, 0.5416667, 0.4583333,
  0.3958333, 0.3125, 0.2083333, 0.125, 0.125],
 "recall": [0.9230769, 0.8974359, 0.6923077, 0.6666667, 0.5641026,
  0.4871795, 0.3846154, 0.2564103, 0.1538462, 0.1538462],
 "f1": [0.8275862, 0.8045977, 0.6206897, 0.5977011, 0.5057471,
  0.4367816, 0.3448276, 0.2298851, 0.137931, 0.137931],
 "pq": [0.5878171, 0.5775457, 0.4847194, 0.4718614, 0.4142421,
  0.367871, 0.3018935, 0.2130261, 0.137931, 0.137931],
 "sq": [0.710279, 0.7178068, 0.7809368, 0.7894604, 0.8190696,
  0.8422309, 0.8754913, 0.9266634, 1.0, 1.0]
}
}
"""


def test_volumes_of_which_few_planes_are_labelled_are_scored_by_these() -> None:
    """What goes on into the others, as it should, had an IoU of a half at most."""
    whole = np.zeros((8, 20, 30), np.int32)
    whole[1:7, 2:10, 3:12] = 1
    whole[2:6, 12:18, 15:25] = 2
    ignore = np.zeros(whole.shape, bool)
    ignore[::2] = True
    truth = np.where(ignore, 0, whole)
    for found in (whole, truth):
        scores = Scores.of(match(found, truth, ignore), (0.9,))
        assert (scores.tp[0], scores.fp[0], scores.fn[0], scores.iou_sum[0]) == (2, 0, 0, 2.0)
    wide = whole.copy()
    wide[3, 2:10, 12:15] = 1  # 24 voxels in a plane that is known, of 3 x 72
    assert match(wide, truth, ignore).iou[0] == np.float32(216 / 240)
