"""Run lengths are pycocotools', to the last character, and entries are what it reads."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from spatialembed.formats.coco_results import coco_results, compressed_rle

masks = array_shapes(min_dims=2, max_dims=2, max_side=14).flatmap(lambda s: arrays(bool, s))


@settings(max_examples=100, deadline=None)
@given(masks, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_rle_equals_pycocotools(mask, top, left, bottom, right):
    whole = np.pad(mask, ((top, bottom), (left, right)))
    expected = coco.encode(np.asfortranarray(whole, np.uint8))
    rle = compressed_rle(mask, (top, left), whole.shape)
    assert rle == {"size": expected["size"], "counts": expected["counts"].decode()}


def test_rle_of_large_images():
    rng = np.random.default_rng(0)
    for share in (0.001, 0.5, 0.999, 0.0, 1.0):
        mask = rng.random((700, 900)) < share
        mask[:, 300:700] = mask[0, 0]
        expected = coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        assert compressed_rle(mask, (0, 0), mask.shape)["counts"] == expected


def test_coco_results(three):
    results = json.loads(json.dumps(coco_results(three, 42, {"car": 3, "bus": 6})))
    assert [r["category_id"] for r in results] == [3, 6, 3]
    assert [r["score"] for r in results] == three.scores.tolist()
    for k, result in enumerate(results):
        assert result["image_id"] == 42
        mask = three.label_map == k + 1
        np.testing.assert_array_equal(coco.decode(result["segmentation"]), mask)
        assert "bbox" not in result
    with pytest.raises(ValueError, match="class bus"):
        coco_results(three, 42, {"car": 3})
