"""Label masks, classes and ignore regions of any type and layout in memory."""

import numpy as np
import pytest
import torch

from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.terms.objects import gather_objects
from test_loss import scene, value_and_gradient


def test_ids_with_gaps_beyond_16_bits_and_negative_stand_for_the_same_objects():
    output, label_mask, _ = scene(6)
    names = torch.tensor([0, 70_000, 3, 2**31 - 1, -5, 65_536, 12])
    plain = SpatialEmbeddingLoss()(output, label_mask)
    renamed = SpatialEmbeddingLoss()(output, names[label_mask])
    for name in plain:
        assert renamed[name].item() == pytest.approx(plain[name].item(), rel=1e-12)


def test_same_id_in_two_images_is_two_objects():
    output, label_mask, _ = scene(4, batch=2)
    single = [
        SpatialEmbeddingLoss()(output[b : b + 1], label_mask[b : b + 1])["total"].item()
        for b in range(2)
    ]
    both = SpatialEmbeddingLoss()(output, label_mask)["total"].item()
    assert both == pytest.approx(np.mean(single), rel=1e-9)


INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@pytest.mark.parametrize("dtype", [*INTEGERS, "float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("precise", [True, False])
def test_labels_and_ignore_regions_of_any_type(dtype, precise):
    output, label_mask, class_map = scene(6, classes=3, batch=2)
    if not precise:
        output = output.float()
    class_map = class_map.clamp(min=0)
    ignore = torch.from_numpy(np.random.default_rng(0).random(label_mask.shape) < 0.2)
    loss = SpatialEmbeddingLoss()
    expected, slope = value_and_gradient(lambda o: loss(o, label_mask, class_map, ignore), output)
    kind = getattr(torch, dtype)
    given = label_mask.to(kind), class_map.to(kind), (ignore.int() * 3).to(kind)
    found, gradient = value_and_gradient(lambda o: loss(o, *given), output)
    assert found == expected
    assert torch.equal(gradient, slope)
    assert expected != value_and_gradient(lambda o: loss(o, label_mask, class_map), output)[0]


def test_ids_as_far_apart_as_their_type_allows():
    output, label_mask, _ = scene(6, batch=3)
    expected = SpatialEmbeddingLoss()(output, label_mask)
    ends = np.array([0, 2**64 - 1, 2**63, 1, 2**63 - 1, 2**62, 7], np.uint64)
    for names in (ends, ends.astype(np.int64)):
        given = torch.from_numpy(names[label_mask.numpy()])
        found = SpatialEmbeddingLoss()(output, given)
        for name, value in expected.items():
            assert found[name].item() == pytest.approx(value.item(), rel=1e-12)


def test_a_mask_of_one_bool_is_one_object():
    output, label_mask, _ = scene(1)
    expected = SpatialEmbeddingLoss()(output, label_mask)["total"]
    assert SpatialEmbeddingLoss()(output, label_mask > 0)["total"] == expected


@pytest.mark.parametrize("wrong", [0.5, float("nan"), float("inf"), 2.0**25])
def test_labels_that_are_no_whole_numbers_are_refused(wrong):
    output, label_mask, class_map = scene(6, classes=2)
    broken = label_mask.float()
    broken[0, 3, 5] = wrong
    with pytest.raises(ValueError, match=r"label_mask is torch\.float32 and not whole"):
        SpatialEmbeddingLoss()(output, broken, class_map)
    kinds = class_map.float()
    kinds[label_mask == 0] = wrong  # any value beside the objects
    expected = SpatialEmbeddingLoss()(output, label_mask, class_map)["total"]
    assert SpatialEmbeddingLoss()(output, label_mask, kinds)["total"] == expected
    kinds[label_mask == 2] = 0.25
    with pytest.raises(ValueError, match=r"class_map is torch\.float32 and not whole"):
        SpatialEmbeddingLoss()(output, label_mask, kinds)
    with pytest.raises(ValueError, match="complex"):
        SpatialEmbeddingLoss()(output, label_mask.to(torch.complex64), class_map)


def test_maps_of_classes_that_lie_apart_in_memory() -> None:
    """Channels last, as networks give them: the seed maps of several classes are no block."""
    rng = np.random.default_rng(3)
    output = torch.from_numpy(rng.normal(size=(2, 7, 9, 11)).astype(np.float32))
    label_mask = torch.from_numpy(rng.integers(0, 4, (2, 9, 11)))
    class_map = torch.from_numpy(rng.integers(0, 3, (2, 9, 11)))
    loss = SpatialEmbeddingLoss(n_sigma=2)
    apart = output.contiguous(memory_format=torch.channels_last)
    expected, found = (loss(given, label_mask, class_map) for given in (output, apart))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_objects_are_found_alike_by_table_and_by_sorting() -> None:
    """Ids far apart take the way of other devices; the order of objects is that of their ids."""
    rng = np.random.default_rng(5)
    label_mask = torch.from_numpy(rng.integers(-3, 6, (3, 8, 9)))
    valid = torch.from_numpy(rng.random((3, 8, 9)) < 0.9)
    near = gather_objects(label_mask, valid)
    far = gather_objects(label_mask * 10**9, valid)
    assert near.images == far.images == 3
    for name in ("pixel", "owner", "counts", "image", "object_of"):
        found, expected = getattr(near, name), getattr(far, name)
        assert torch.equal(found.long(), expected.long()), name
