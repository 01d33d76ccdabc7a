"""The loss as kernels of Triton: by its interpreter, on a card, and where they do not work."""

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.terms import hinges, triton_check
from test_loss import scene
from test_loss_devices import askew, assert_as_compiled, by_torch
from test_loss_waits import Operations

KINDS = [
    (1, 1, 1, "centroid", False, False),
    (1, 3, 3, "medoid", True, False),
    (1, 2, 1, "learned", False, True),
    (1, 1, 1, "learned", True, False),
]
"""Of losses, but for the dimensions."""

INTERPRETER = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.mark.skipif(INTERPRETER, reason="is within it")
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with torch for CUDA")
def test_kernels_of_triton_by_its_interpreter() -> None:
    """The tests below, in a process of their own: it is chosen before Triton is loaded."""
    tests = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-k", "interpreted", __file__]
    done = subprocess.run(tests, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.skipif(not INTERPRETER, reason="needs TRITON_INTERPRET=1, see the test above")
@pytest.mark.parametrize("shape", [(40,), (24, 28), (7, 9, 10)])
@pytest.mark.parametrize("trained", [True, False])
def test_interpreted_kernels_give_the_same(monkeypatch, shape, trained):
    monkeypatch.setattr(triton_check, "INTERPRETED", True)
    output, *truth = scene(5, shape, len(shape), classes=2, batch=2, trained=trained)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        kind = triton_check.Kind(len(shape), len(shape), 2, 1, "learned", False, True)
        assert triton_check.is_right(torch.device("cpu"), kind)
    assert_as_compiled("cpu", output, *truth, n_sigma=len(shape), center="learned")
    monkeypatch.setattr(hinges, "FEW", 0)  # keys of logits
    monkeypatch.setattr("spatialembed.terms.card.whole.CANDIDATES", 2000)
    assert_as_compiled("cpu", output, *truth, n_sigma=len(shape), center="learned")


@pytest.mark.skipif(not INTERPRETER, reason="needs TRITON_INTERPRET=1, see above")
@pytest.mark.parametrize("kind", KINDS)
def test_interpreted_kernels_are_checked_for_each_kind_of_loss(monkeypatch, kind):
    monkeypatch.setattr(triton_check, "INTERPRETED", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert triton_check.is_right(torch.device("cpu"), triton_check.Kind(2, *kind))


@pytest.mark.skipif(not INTERPRETER, reason="needs TRITON_INTERPRET=1, see above")
def test_interpreted_kernels_take_maps_as_they_lie(monkeypatch):
    monkeypatch.setattr(triton_check, "INTERPRETED", True)
    assert_as_compiled("cpu", *askew())


@pytest.mark.skipif(not INTERPRETER, reason="needs TRITON_INTERPRET=1, see above")
@pytest.mark.parametrize("error", [-1, 1])
def test_interpreted_tiles_are_as_many_as_were_counted(monkeypatch, error):
    """However two kernels round: what is not found is nothing, and nothing is written beyond."""
    from spatialembed.terms.card import cells

    monkeypatch.setattr(triton_check, "INTERPRETED", True)
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


def test_a_check_that_finds_other_numbers_falls_back(monkeypatch):
    monkeypatch.setattr(triton_check, "_small_scene", lambda *given: scenes.pop())
    right = (torch.tensor(1.0), torch.ones(2, 2))
    kind, here = triton_check.Kind(2, 1, 1, 1, "centroid", False, False), torch.device("cpu")
    for wrong in (torch.full((2, 2), 1.1), torch.full((2, 2), torch.nan)):
        scenes = [(right[0], wrong), right, right]
        triton_check.is_right.cache_clear()
        monkeypatch.setitem(
            sys.modules, "spatialembed.terms.card.whole", SimpleNamespace(card_terms=print)
        )
        with pytest.warns(UserWarning, match="runs slower than it could.*other numbers"):
            assert not triton_check.is_right(here, kind)
    triton_check.is_right.cache_clear()


def test_without_triton_the_loss_says_so_and_goes_on(monkeypatch):
    monkeypatch.setattr(triton_check, "INTERPRETED", True)
    monkeypatch.setitem(sys.modules, "triton", None)  # it cannot be imported then
    for name in [name for name in sys.modules if name.startswith("spatialembed.terms.card.")]:
        monkeypatch.delitem(sys.modules, name)
    triton_check.is_right.cache_clear()
    output, *truth = scene(5)
    with pytest.warns(UserWarning, match="runs slower than it could: kernels of Triton"):
        assert_as_compiled("cpu", output, *truth)
    triton_check.is_right.cache_clear()


@pytest.mark.gpu
def test_kernels_of_triton_are_right_on_this_card():
    pytest.importorskip("triton", reason="Triton is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for dims in (1, 2, 3):
            for rest in KINDS:
                kind = triton_check.Kind(dims, *rest)
                assert triton_check.is_right(torch.zeros(1, device="cuda").device, kind)


@pytest.mark.skipif(not INTERPRETER, reason="needs TRITON_INTERPRET=1, see above")
@pytest.mark.parametrize("center", ["centroid", "learned"])
def test_interpreted_kernels_leave_few_operations(monkeypatch, center):
    monkeypatch.setattr(triton_check, "INTERPRETED", True)
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
