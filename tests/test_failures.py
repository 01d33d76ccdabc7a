"""What the page of failures says helps does help."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "pages" / "failures.md").read_text(encoding="utf-8")


def module():
    spec = importlib.util.spec_from_file_location("pictures_of_pages", DOCS / "pictures.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


PICTURES = module()


@pytest.mark.parametrize("name", PICTURES.FAILURES)
def test_more_is_found_with_the_remedy_and_less_that_is_none(name) -> None:
    failure = PICTURES.FAILURES[name]
    _, [(_, _, before), (_, _, after)] = PICTURES.outcome(failure)
    assert len(before.hit) < 0.92 * (len(before.hit) + len(before.missed))
    assert len(after.hit) > len(before.hit)
    assert len(after.extra) <= len(before.extra)
    assert f"pictures/failure_{name}.png" in PAGE


def test_every_picture_of_the_page_is_made() -> None:
    assert set(re.findall(r"failure_(\w+)\.png", PAGE)) == set(PICTURES.FAILURES)
