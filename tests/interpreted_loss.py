"""What test_loss_triton.py runs in a process where Triton interprets kernels, without a card."""

import warnings

import pytest
import torch

from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.terms import hinges, triton_check
from test_loss import scene
from test_loss_devices import askew, assert_as_compiled, by_torch
from test_loss_triton import KINDS
from test_loss_waits import Operations


@pytest.fixture(autouse=True)
def interpreted(monkeypatch) -> None:
    monkeypatch.setattr(triton_check, "INTERPRETED", True)


@pytest.mark.parametrize("shape", [(40,), (24, 28), (7, 9, 10)])
@pytest.mark.parametrize("trained", [True, False])
def test_kernels_give_the_same(monkeypatch, shape, trained):
    output, *truth = scene(5, shape, len(shape), classes=2, batch=2, trained=trained)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        kind = triton_check.Kind(len(shape), len(shape), 2, 1, "learned", False, True)
        assert triton_check.is_right(torch.device("cpu"), kind)
    assert_as_compiled("cpu", output, *truth, n_sigma=len(shape), center="learned")
    monkeypatch.setattr(hinges, "FEW", 0)  # keys of logits
    monkeypatch.setattr("spatialembed.terms.card.whole.CANDIDATES", 2000)
    assert_as_compiled("cpu", output, *truth, n_sigma=len(shape), center="learned")


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_are_checked_for_each_kind_of_loss(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert triton_check.is_right(torch.device("cpu"), triton_check.Kind(2, *kind))


def test_kernels_take_maps_as_they_lie():
    assert_as_compiled("cpu", *askew())


@pytest.mark.parametrize("error", [-1, 1])
def test_tiles_are_as_many_as_were_counted(monkeypatch, error):
    """However two kernels round: what is not found is nothing, and nothing is written beyond."""
    from spatialembed.terms.card import cells

    sort, chunks = cells.sort_into_cells, cells.chunks_in_reach
    found = []

    def miscounted(*given):
        made = sort(*given)
        counts = made.tile_counts + error
        return made._replace(tile_counts=counts, behind=counts.cumsum(0))

    def noted(*given):
        for chunk in chunks(*given):
            found.append(chunk.tiles)
            yield chunk

    monkeypatch.setattr(cells, "sort_into_cells", miscounted)
    monkeypatch.setattr(cells, "chunks_in_reach", noted)
    output, label_mask, _ = scene(7, (24, 28), batch=2)
    output = output.float().requires_grad_()
    terms = by_torch(lambda: SpatialEmbeddingLoss()(output, label_mask))
    terms["total"].backward()
    assert terms["total"].isfinite()
    assert output.grad.isfinite().all()
    object_of, block, *_ = found[-1]
    assert 0 <= int(object_of.min()) <= int(object_of.max()) < 14
    assert 0 <= int(block.min()) <= int(block.max()) <= 2 * 24 * 28 // 32


@pytest.mark.parametrize("center", ["centroid", "learned"])
def test_kernels_leave_few_operations(center):
    output, label_mask, _ = scene(7, (24, 28), batch=2)
    output = output.float().requires_grad_()
    loss = SpatialEmbeddingLoss(center=center)
    by_torch(lambda: loss(output, label_mask))  # the check of a small scene is not counted
    with Operations() as done:
        terms = by_torch(lambda: loss(output, label_mask))
        terms["total"].backward()
    of_interpreter = {"set_", "copy_", "_to_copy", "new_empty"}
    names = [name for name in done.names if name not in of_interpreter]
    assert len(names) < 40, names
    terms["total"] *= 2  # a term is the caller's to write to, as any tensor
