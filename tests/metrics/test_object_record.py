import json

import numpy as np
import pytest

from spatialembed.instances import Instances
from spatialembed.metrics.object_record import POINTS, ObjectRecord


def squares(*boxes, shape=(40, 40)):
    label_map = np.zeros(shape, np.int32)
    for k, (y, x, side) in enumerate(boxes):
        label_map[y : y + side, x : x + side] = k + 1
    return label_map


def found(label_map, scores, classes=None, names=("a",)):
    return Instances.from_label_map(label_map, np.array(scores), classes, names)


def test_the_curve_counts_objects_from_the_highest_score_down():
    truth = squares((0, 0, 4), (10, 10, 4), (20, 20, 8))
    every = found(squares((0, 0, 4), (30, 30, 4), (20, 20, 8)), [0.9, 0.8, 0.6])
    record = ObjectRecord(["a"])
    record.add(every, every.at_least(0.7), truth)
    curve = record.summary()["precision_recall"]["a"]
    assert curve["score"] == pytest.approx([0.9, 0.8, 0.6])
    assert curve["precision"] == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve["recall"] == pytest.approx([1 / 3, 1 / 3, 2 / 3])


def test_sizes_are_counted_between_powers_of_two_at_the_models_thresholds():
    truth = squares((0, 0, 4), (10, 10, 4), (20, 20, 8))  # 16, 16 and 64 pixels
    every = found(squares((0, 0, 4), (30, 30, 5), (20, 20, 8)), [0.9, 0.8, 0.6])
    record = ObjectRecord(["a"])
    record.add(every, every.at_least(0.7), truth)
    sizes = record.summary()["sizes"]
    assert sizes == {
        "edges": [16, 32, 64, 128],
        "true": [2, 0, 1],
        "matched": [1, 0, 0],
        "found": [2, 0, 0],
    }


def test_classes_are_kept_apart_and_ignored_finds_are_no_errors():
    truth = squares((0, 0, 4), (10, 10, 4))
    class_map = np.where(truth == 2, 1, 0)
    ignore = np.zeros((40, 40), bool)
    ignore[28:] = True
    every = found(
        squares((0, 0, 4), (10, 10, 4), (30, 30, 4)), [0.9, 0.8, 0.7], [0, 0, 0], ("a", "b")
    )
    record = ObjectRecord(["a", "b"])
    record.add(every, every, truth, class_map, ignore)
    curves = record.summary()["precision_recall"]
    assert curves["a"]["precision"] == pytest.approx([1, 1 / 2])
    assert curves["b"] == {"score": [], "precision": [], "recall": []}


def test_many_objects_are_thinned_and_json_takes_the_summary():
    side = 2 * (POINTS // 10)
    truth = squares(*[(4 * (k // side), 4 * (k % side), 3) for k in range(side * side)],
                    shape=(4 * side, 4 * side))  # fmt: skip
    every = found(truth, np.linspace(1, 0.3, side * side))
    record = ObjectRecord(["a"])
    record.add(every, every, truth)
    curve = record.summary()["precision_recall"]["a"]
    assert len(curve["recall"]) == POINTS
    assert curve["recall"][-1] == 1
    json.dumps(record.summary())


def test_nothing_is_an_empty_summary():
    nothing = found(squares(), [])
    record = ObjectRecord(["a"])
    record.add(nothing, nothing, squares())
    summary = record.summary()
    assert summary["precision_recall"] == {}
    assert summary["sizes"]["edges"] == []


def test_an_object_that_matches_counts_even_in_an_ignore_region():
    truth = squares((0, 0, 4), (10, 10, 4))
    every = found(truth, [0.9, 0.8])
    record = ObjectRecord(["a"])
    record.add(every, every, truth, ignore=truth == 1)
    curve = record.summary()["precision_recall"]["a"]
    assert curve["recall"] == [0.5, 1]
    assert curve["precision"] == [1, 1]
