"""The joint loss against naive loops in float64, over random scenes and odd input."""

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from spatialembed.embedding import PITCH, margin_to_sigma
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.terms import near
from spatialembed.terms.centers import CENTERS, object_centers
from spatialembed.terms.reach import Margins, chunks_in_reach, sort_into_cells


def scene(objects, shape=(48, 56), n_sigma=1, classes=1, batch=1, trained=True, seed=0):
    """Random ellipses, and an output as a trained network gives it, or a random one."""
    rng = np.random.default_rng(seed)
    dims = len(shape)
    axes = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    label_mask = np.zeros((batch, *shape), np.int64)
    class_map = np.full((batch, *shape), -1)
    output = rng.normal(0, 0.002, (batch, dims + n_sigma + classes, *shape))
    output[:, dims : dims + n_sigma] += 1
    for b in range(batch):
        for k in range(objects):
            middle = rng.uniform(0, shape)
            radius = rng.uniform(0.6, 6 if objects < 50 else 3, dims)
            column = (slice(None), *[None] * dims)
            inside = (((axes - middle[column]) / radius[column]) ** 2).sum(0) < 1
            label_mask[b][inside] = k + 1
            class_map[b][inside] = rng.integers(classes)
            if trained:
                steps = (middle[::-1][column] - axes[::-1])[:, inside] * PITCH
                spread = rng.normal(0, radius.mean() / 4 * PITCH, steps.shape)
                output[b, :dims, inside] = np.arctanh(steps + spread).T
                sigma = margin_to_sigma(radius.mean()) + rng.normal(0, 0.01, inside.sum())
                output[b, dims : dims + n_sigma, inside] = sigma[:, None]
                output[b, dims + n_sigma :, inside] = rng.normal(1, 1, (inside.sum(), classes))
    return torch.tensor(output), torch.tensor(label_mask), torch.tensor(class_map)


def value_and_gradient(terms_of, output):
    """All terms as numbers, and the gradient of their total in ``output`` as float64."""
    output = output.clone().requires_grad_()
    terms = terms_of(output)
    terms["total"].backward()
    return {name: term.item() for name, term in terms.items()}, output.grad.double()


def assert_equals_reference(output, label_mask, class_map=None, ignore=None, **options):
    """Both paths, torch in float64 and compiled in float32, against naive loops in float64."""
    output = output.float().double()
    truth = (label_mask, class_map, ignore)
    expected, slope = value_and_gradient(lambda o: reference.loss(o, *truth, **options), output)
    for dtype in (torch.float64, torch.float32):
        found, gradient = value_and_gradient(
            lambda o: SpatialEmbeddingLoss(**options)(o, *truth), output.to(dtype)
        )
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-8), (name, dtype)
        assert (gradient - slope).norm() <= 1e-3 * slope.norm() + 1e-12, dtype


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("n_sigma", [1, 2])
@pytest.mark.parametrize("objects", [0, 1, 7, 60])
@pytest.mark.parametrize("trained", [True, False])
def test_equals_naive_loops(center, n_sigma, objects, trained):
    output, label_mask, class_map = scene(objects, n_sigma=n_sigma, trained=trained, seed=objects)
    assert_equals_reference(output, label_mask, class_map, n_sigma=n_sigma, center=center)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("n_sigma", [1, 2])
@pytest.mark.parametrize("trained", [True, False])
def test_equals_naive_loops_with_400_objects(center, n_sigma, trained):
    output, label_mask, class_map = scene(400, (36, 40), n_sigma=n_sigma, trained=trained)
    assert_equals_reference(output, label_mask, class_map, n_sigma=n_sigma, center=center)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("n_sigma", [1, 3])
def test_equals_naive_loops_on_volumes(center, n_sigma):
    output, label_mask, class_map = scene(12, (9, 14, 16), n_sigma, classes=2)
    assert_equals_reference(output, label_mask, class_map, n_sigma=n_sigma, center=center)


@given(
    shape=st.lists(st.integers(1, 13), min_size=1, max_size=3),
    objects=st.integers(0, 6),
    batch=st.integers(1, 3),
    classes=st.integers(1, 3),
    center=st.sampled_from(CENTERS),
    margin=st.sampled_from([None, 3.0]),
    seed=st.integers(0, 999),
)
@settings(max_examples=40, deadline=None)
def test_any_shape_with_ignore_regions(shape, objects, batch, classes, center, margin, seed):
    output, label_mask, class_map = scene(
        objects, tuple(shape), 1, classes, batch, trained=bool(seed % 2), seed=seed
    )
    rng = np.random.default_rng(seed)
    ignore = torch.from_numpy(rng.random(label_mask.shape) < 0.2)
    weights = tuple(rng.uniform(1, 10, classes))
    assert_equals_reference(
        output, label_mask, class_map, ignore,
        center=center, margin=margin, foreground_weight=weights,
    )  # fmt: skip


def test_ignored_pixels_have_no_gradient_and_no_effect():
    output, label_mask, _ = scene(5)
    ignore = torch.zeros_like(label_mask, dtype=torch.bool)
    ignore[:, 10:30, 5:40] = True
    output.requires_grad_()
    first = SpatialEmbeddingLoss()(output, label_mask, ignore=ignore)["total"]
    first.backward()
    assert (output.grad[:, :, 10:30, 5:40] == 0).all()
    changed = output.detach().clone()
    changed[:, :, 10:30, 5:40] += 3
    label_mask[:, 10:30, 5:40] = 9
    second = SpatialEmbeddingLoss()(changed, label_mask, ignore=ignore)["total"]
    assert second.item() == pytest.approx(first.item(), rel=1e-12)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("case", ["empty crop", "one pixel", "all ignored", "empty batch", "cut"])
def test_odd_crops_give_finite_loss_and_gradient(case, center):
    output = torch.zeros(0 if case == "empty batch" else 2, 4, 8, 8, requires_grad=True)
    label_mask = torch.zeros(output.shape[0], 8, 8, dtype=torch.int32)
    ignore = torch.zeros_like(label_mask, dtype=torch.bool)
    if case == "one pixel":
        label_mask[0, 3, 4] = 7
    if case == "cut":
        label_mask[0, 0, 0] = label_mask[0, 7, 5:] = 7
    if case == "all ignored":
        label_mask[:] = 3
        ignore[:] = True
    terms = SpatialEmbeddingLoss(center=center)(output, label_mask, ignore=ignore)
    terms["total"].backward()
    assert all(torch.isfinite(value) for value in terms.values())
    assert torch.isfinite(output.grad).all()


def test_autocast_and_bfloat16_output_stay_finite():
    output, label_mask, _ = scene(5)
    half = (output * 1.2).to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        terms = SpatialEmbeddingLoss()(half, label_mask)
    terms["total"].backward()
    assert terms["total"].dtype == torch.float32
    assert torch.isfinite(half.grad).all()


@pytest.mark.parametrize("center", ["learned", "medoid"])
def test_torch_and_numba_keep_their_numbers_of_threads(center):
    output, label_mask, _ = scene(4)
    before = torch.get_num_threads(), numba.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            numba.set_num_threads(min(3 - threads, before[1]))
            SpatialEmbeddingLoss(center=center)(output.float(), label_mask)
            assert torch.get_num_threads() == threads
            assert numba.get_num_threads() == min(3 - threads, before[1])
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


def test_learned_centers_that_move_together_cost_and_are_drawn_back():
    output, label_mask, _ = scene(6)
    output[:, 0] = torch.atanh(torch.tanh(output[:, 0]) + 0.3)
    output.requires_grad_()
    drift = SpatialEmbeddingLoss(center="learned")(output, label_mask)["drift"]
    assert drift.item() == pytest.approx(0.3**2, rel=0.05)
    drift.backward()
    assert (output.grad[:, 0][label_mask > 0] > 0).all()
    assert not output.grad[:, :, label_mask[0] == 0].any()
    assert "drift" not in SpatialEmbeddingLoss()(output, label_mask)


def test_a_step_downhill_lowers_the_loss():
    output, label_mask, _ = scene(6, trained=False)
    output.requires_grad_()
    criterion = SpatialEmbeddingLoss(center="learned")
    optimizer = torch.optim.Adam([output], lr=0.01)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        values.append(criterion(output, label_mask)["total"])
        values[-1].backward()
        optimizer.step()
    assert values[-1] < 0.6 * values[0]


def test_without_a_weight_there_is_no_drift_term():
    """The paper's loss: the same terms otherwise, and a total without it."""
    output, label_mask, _ = scene(6)
    output[:, 0] = torch.atanh(torch.tanh(output[:, 0]) + 0.3)
    assert_equals_reference(output, label_mask, center="learned", drift_weight=0)
    assert_equals_reference(output, label_mask, center="learned", drift_weight=3.5)
    ours = SpatialEmbeddingLoss(center="learned")(output, label_mask)
    papers = SpatialEmbeddingLoss(center="learned", drift_weight=0)(output, label_mask)
    assert papers.keys() == {"instance", "variance", "seed", "total"}
    assert papers["total"].item() == pytest.approx(
        (ours["total"] - 10 * ours["drift"]).item(), rel=1e-12
    )
    with pytest.raises(ValueError, match="at least 0"):
        SpatialEmbeddingLoss(drift_weight=-1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"center": "middle"}, "center must be"),
        ({"foreground_weight": -1.0}, "at least 0"),
        ({"variance_weight": float("nan")}, "at least 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SpatialEmbeddingLoss(**options)


def test_bad_input_is_refused():
    output, label_mask, class_map = scene(3, classes=2)
    with pytest.raises(ValueError, match="class_map"):
        SpatialEmbeddingLoss()(output, label_mask)
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match="class_map must be 0 to 1"):
            SpatialEmbeddingLoss()(output, label_mask, torch.full_like(class_map, wrong))
    with pytest.raises(TypeError, match="torch tensor with a batch axis"):
        SpatialEmbeddingLoss()(output[0].numpy(), label_mask)
    with pytest.raises(TypeError, match="ignore must be a torch tensor"):
        SpatialEmbeddingLoss()(output, label_mask, class_map, np.zeros(label_mask.shape, bool))
    with pytest.raises(ValueError, match="label_mask has shape"):
        SpatialEmbeddingLoss()(output, label_mask[:, 1:], class_map)
    for whole in (output.int(), output * 1j):
        with pytest.raises(ValueError, match="floating-point numbers"):
            SpatialEmbeddingLoss()(whole, label_mask, class_map)
    with pytest.raises(ValueError, match="3 values for 2 classes"):
        SpatialEmbeddingLoss(foreground_weight=(1, 2, 3))(output, label_mask, class_map)


@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 3), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_pairs_in_reach_are_all_pairs_in_reach(pixels, objects, dims, seed):
    rng = np.random.default_rng(seed)
    position = torch.from_numpy(rng.normal(0, rng.uniform(0, 1), (dims, 2 * pixels)))
    valid = torch.from_numpy(rng.random(2 * pixels) < 0.9)
    owner = torch.from_numpy(rng.integers(-1, objects, 2 * pixels).astype(np.int32))
    margins = Margins.of(
        torch.from_numpy(rng.normal(0, 1, (dims, objects))),
        torch.from_numpy(np.exp(rng.normal(2, 3, (dims, objects)))),
        torch.from_numpy(rng.uniform(1e-3, 14, objects)),
        torch.from_numpy(rng.integers(0, 2, objects)),
    )
    found = []
    cells = sort_into_cells(position, valid, owner, margins, 2)
    for chunk in chunks_in_reach(cells, margins, torch.ones_like(margins.image), 500):
        pairs = near.find_near(cells, chunk.tiles, margins)
        tile = pairs.at // cells.owner.shape[1]
        place = chunk.tiles.block[tile] * cells.owner.shape[1] + pairs.at % cells.owner.shape[1]
        found += zip(chunk.tiles.object[tile].tolist(), cells.pixel[place].tolist(), strict=True)
        assert torch.equal(
            pairs.tile_counts, torch.bincount(tile, minlength=len(pairs.tile_counts))
        )
    far = position[:, None] - margins.center[:, :, None]
    expected = (margins.width[:, :, None] * far**2).sum(0) < margins.cutoff[:, None]
    expected &= margins.image[:, None] == torch.arange(2 * pixels) // pixels
    expected &= valid & (owner != torch.arange(objects)[:, None])
    assert sorted(found) == [tuple(pair) for pair in expected.nonzero().tolist()]


@given(st.integers(1, 80), st.integers(1, 3), st.booleans(), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_medoid_has_the_least_sum_of_distances(points, dims, on_lattice, seed):
    rng = np.random.default_rng(seed)
    cloud = rng.normal(0, 1, (points, dims))
    if on_lattice:  # equal sums
        cloud = np.unique(rng.integers(0, 6, (points, dims)), axis=0).astype(float)
    coordinate = torch.from_numpy(cloud.T.copy())
    owner = torch.zeros(len(cloud), dtype=torch.long)
    found = object_centers("medoid", coordinate, owner, torch.tensor([len(cloud)]))
    assert found[:, 0].tolist() == cloud[reference.medoid(cloud)].tolist()
