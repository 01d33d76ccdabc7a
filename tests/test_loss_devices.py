"""The loss as operations of torch, the way of a card, against the CPU's compiled kernels.

Both in float32. The same tests run on a card where there is one.
"""

import copy
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.terms import device as device_choice
from spatialembed.terms import hinges, near
from spatialembed.terms.centers import CENTERS
from spatialembed.terms.objects import gather_objects, mean_by_object
from test_loss import scene, value_and_gradient

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
on_devices = pytest.mark.parametrize("device", DEVICES)


def by_torch(work):
    """What ``work`` gives without the compiled kernels."""
    before, device_choice.KERNELS = device_choice.KERNELS, False
    try:
        return work()
    finally:
        device_choice.KERNELS = before


def assert_as_compiled(device, output, label_mask, class_map=None, ignore=None, **options):
    """Every term to 1e-5, the gradient of the total to 1e-3."""
    output, truth = output.float(), (label_mask, class_map, ignore)
    loss = SpatialEmbeddingLoss(**options)
    expected, slope = value_and_gradient(lambda o: loss(o, *truth), output)
    there = [None if t is None else t.to(device) for t in truth]
    on_device = copy.deepcopy(loss).to(device)
    found, gradient = by_torch(
        lambda: value_and_gradient(lambda o: on_device(o, *there), output.to(device))
    )
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-8), name
    assert_gradients_agree(gradient.cpu(), slope)


def assert_gradients_agree(found, expected):
    """To 1e-3, but for a swap: errors that differ in their last digit may change places.

    Either gradient is right then. In a small object that moves a few pixels by a few thousandths.
    """
    difference = (found - expected).abs().flatten().sort().values / (expected.norm() + 1e-9)
    swapped = difference[:-8].norm() <= 1e-3 and difference.norm() <= 3e-2
    assert difference.norm() <= 1e-3 or swapped, float(difference.norm())


@on_devices
@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("n_sigma", [1, 2])
@pytest.mark.parametrize("objects", [0, 1, 7, 60, 400])
@pytest.mark.parametrize("trained", [True, False])
def test_images_cost_what_they_cost_compiled(device, center, n_sigma, objects, trained):
    output, *truth = scene(objects, n_sigma=n_sigma, batch=2, trained=trained, seed=objects)
    assert_as_compiled(device, output, *truth, n_sigma=n_sigma, center=center)


@on_devices
@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("n_sigma", [1, 3])
@pytest.mark.parametrize("trained", [True, False])
def test_volumes_cost_what_they_cost_compiled(device, center, n_sigma, trained):
    output, *truth = scene(12, (9, 14, 16), n_sigma, classes=2, batch=2, trained=trained)
    assert_as_compiled(device, output, *truth, n_sigma=n_sigma, center=center)


@on_devices
@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3).filter(lambda s: np.prod(s) < 4000),
    objects=st.integers(0, 8),
    batch=st.integers(0, 3),
    classes=st.integers(1, 3),
    center=st.sampled_from(CENTERS),
    margin=st.sampled_from([None, 0.3, 3.0, 40.0]),
    elliptical=st.booleans(),
    apart=st.sampled_from([1, 1000, 10**14]),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_any_scene_costs_what_it_costs_compiled(
    device, shape, objects, batch, classes, center, margin, elliptical, apart, seed
):
    n_sigma = len(shape) if elliptical else 1
    output, label_mask, class_map = scene(
        objects, tuple(shape), n_sigma, classes, batch, trained=bool(seed % 2), seed=seed
    )
    rng = np.random.default_rng(seed)
    ignore = torch.from_numpy(rng.random(label_mask.shape) < 0.2)
    assert_as_compiled(
        device, output, label_mask * apart, class_map, ignore, n_sigma=n_sigma, center=center,
        margin=margin, foreground_weight=tuple(rng.uniform(1, 10, classes)),
    )  # fmt: skip


@on_devices
def test_many_chunks_and_shorter_keys_give_the_same(device, monkeypatch):
    """As batches larger than a test's have them: few pairs at a time, few bits for their order."""
    output, *truth = scene(60, n_sigma=2, batch=2)
    monkeypatch.setattr(near, "CANDIDATES", 4000)
    if device == "cuda" and find_spec("triton"):
        monkeypatch.setattr("spatialembed.terms.card.whole.CANDIDATES", 4000)
    assert_as_compiled(device, output, *truth, n_sigma=2)
    monkeypatch.setattr(hinges, "FEW", 0)
    assert_as_compiled(device, output, *truth, n_sigma=2)
    monkeypatch.setattr(hinges, "FINE", 1 << 40)
    assert_as_compiled(device, output, *truth, n_sigma=2)


@on_devices
@pytest.mark.parametrize("sigma", [-2.0, 2.0])
def test_margins_as_wide_and_as_narrow_as_there_are(device, sigma):
    """All errors off the object are next to 2 in the one case: there their order matters, too."""
    output, *truth = scene(7, trained=False)
    output[:, 2] = sigma
    assert_as_compiled(device, output, *truth)


@on_devices
def test_outputs_of_bfloat16_under_autocast_are_computed_in_float32(device):
    output, label_mask, _ = scene(7)
    half = output.bfloat16()
    expected, slope = value_and_gradient(
        lambda o: SpatialEmbeddingLoss()(o, label_mask), half.float()
    )

    def terms_of(output):
        with torch.autocast(device, torch.bfloat16):
            terms = SpatialEmbeddingLoss()(output, label_mask.to(device))
        assert {term.dtype for term in terms.values()} == {torch.float32}
        return terms

    found, gradient = by_torch(lambda: value_and_gradient(terms_of, half.to(device)))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name
    assert (gradient.cpu() - slope).norm() <= 4e-3 * slope.norm()  # it comes back as bfloat16


@on_devices
def test_an_object_that_is_no_number_leaves_the_others_their_gradient(device):
    output, label_mask, _ = scene(7)
    loss = SpatialEmbeddingLoss()
    output, gone = output.float(), label_mask == 3
    assert gone.any()
    output[:, 0][gone] = torch.nan
    terms = {}

    def terms_of(output):
        terms.update(loss(output, label_mask.to(output.device)))
        return {"total": terms["instance"]}

    _, slope = value_and_gradient(terms_of, output)
    assert not terms["total"].isfinite()
    _, gradient = by_torch(lambda: value_and_gradient(terms_of, output.to(device)))
    assert not terms["total"].isfinite()
    others = ~gone.unsqueeze(1).expand_as(output)
    assert gradient.cpu()[others].isfinite().all()
    assert_gradients_agree(gradient.cpu()[others], slope[others])


@on_devices
@given(st.integers(0, 3), st.integers(0, 20), st.sampled_from([1, 77, 10**9]), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_objects_are_those_of_the_compiled_kernel(device, images, side, apart, seed):
    rng = np.random.default_rng(seed)
    label_mask = torch.from_numpy(rng.integers(-3, 6, (images, side, side)) * apart)
    valid = torch.from_numpy(rng.random((images, side, side)) < 0.9)
    expected = gather_objects(label_mask // apart, valid)
    found = by_torch(lambda: gather_objects(label_mask.to(device), valid.to(device)))
    assert found.images == expected.images
    for name in ("pixel", "owner", "counts", "image", "object_of"):
        there = getattr(found, name)
        assert there.dtype == getattr(expected, name).dtype
        assert torch.equal(there.cpu(), getattr(expected, name)), name


@on_devices
def test_means_and_their_gradients_are_those_of_autograd(device):
    generator = torch.Generator().manual_seed(0)
    counts = torch.tensor([3, 1, 40, 7])
    owner = torch.arange(4).repeat_interleave(counts)
    values = torch.randn(2, 51, generator=generator, dtype=torch.float64)
    weight = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    results = []
    for there in ("cpu", device):
        given = values.clone().to(there).requires_grad_()

        def mean(given=given, there=there):
            return mean_by_object(given, owner.to(there), counts.to(there))

        means = mean() if not results else by_torch(mean)
        (means * weight.to(there)).sum().backward()
        results.append((means.detach().cpu(), given.grad.cpu()))
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-12)


def askew():
    """A scene whose maps lie in memory column by column."""
    output, *truth = scene(7, (24, 28), batch=2)
    ignore = torch.from_numpy(np.random.default_rng(0).random(truth[0].shape) < 0.2)
    return output, *(t.transpose(1, 2).contiguous().transpose(1, 2) for t in (*truth, ignore))


@on_devices
def test_maps_may_lie_in_memory_as_they_like(device):
    assert_as_compiled(device, *askew())


@pytest.mark.gpu
@pytest.mark.parametrize("center", CENTERS)
def test_in_deterministic_mode_a_card_gives_the_same_bits_again(center):
    output, label_mask, _ = scene(60, n_sigma=2, batch=2)
    torch.use_deterministic_algorithms(True)
    try:
        assert_as_compiled("cuda", output, label_mask, n_sigma=2, center=center)
        loss, label_mask = SpatialEmbeddingLoss(2, center).cuda(), label_mask.cuda()
        first, second = (
            value_and_gradient(lambda o: loss(o, label_mask), output.float().cuda())
            for _ in range(2)
        )
    finally:
        torch.use_deterministic_algorithms(False)
    assert first[0] == second[0]
    assert torch.equal(first[1], second[1])
