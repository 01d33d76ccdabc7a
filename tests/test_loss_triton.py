"""The loss as kernels of Triton: by its interpreter, on a card, and where they do not work."""

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from spatialembed.terms import triton_check
from test_loss import scene
from test_loss_devices import assert_as_compiled

KINDS = [
    (1, 1, 1, "centroid", False, False),
    (1, 3, 3, "medoid", True, False),
    (1, 2, 1, "learned", False, True),
    (1, 1, 1, "learned", True, False),
]
"""Of losses, but for the dimensions."""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with torch for CUDA")
def test_kernels_of_triton_by_its_interpreter() -> None:
    """In a process of its own: it is chosen before Triton is loaded."""
    tests = Path(__file__).with_name("interpreted_loss.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", tests]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


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
