"""What docstrings show is what comes out."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "module", ["clustering", "large.seams", "lovasz", "metrics.matching", "refinement"]
)
def test_examples_of_docstrings(module: str) -> None:
    failed, tried = doctest.testmod(import_module(f"spatialembed.{module}"))
    assert tried
    assert not failed
