import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialembed.errors import UserError
from spatialembed.models.looks import Look, Looks
from spatialembed.models.spec import ModelSpec

share = st.floats(0, 1)
maybe = st.none() | share
looks = st.builds(Look, share, share, share, maybe, maybe, maybe)

USUAL = Looks(100, (0.0, 0.1), (0.0, 0.0), (0.8, 1.0), (0.2, 0.4), (0.9, 1.0))
OWN = Look(0.05, 0.1, 0.0, 0.9, 0.3, 0.95)


@given(st.lists(looks, min_size=1, max_size=9))
def test_no_image_of_the_usual_ones_is_unusual_where_there_are_few(held) -> None:
    """With nine images a ninth of the scale is spared, and the quantiles leave out none."""
    usual = Looks.of(held)
    assert usual.images == len(held)
    assert not any(usual.unusual(look) for look in held)


def test_most_of_many_images_are_usual() -> None:
    grounds = np.linspace(0, 1, 101)
    usual = Looks.of([OWN._replace(ground=float(g)) for g in grounds])
    assert usual.ground == (0.02, 0.98)
    assert usual.sureness == (0.95, 0.95)


@pytest.mark.parametrize(
    ("change", "unusual"),
    [
        ({}, []),
        ({"ground": 0.15}, []),  # within half the width of what is usual
        ({"ground": 0.17}, ["ground"]),
        ({"ground": -0.1}, ["ground"]),
        ({"color": 0.02}, ["color"]),
        ({"contrast": 0.3, "undecided": 0.9}, ["contrast", "undecided"]),
        ({"undecided": 0.0}, []),  # surer than usual
        ({"sureness": 0.5}, ["sureness"]),
        ({"contrast": None, "undecided": None, "sureness": None}, []),
    ],
)
def test_what_is_unusual(change, unusual) -> None:
    assert USUAL.unusual(OWN._replace(**change)) == unusual


def test_few_images_leave_much_unseen() -> None:
    one, many = (Looks(n, (0.0, 0.1), (0.0, 0.0)) for n in (2, 200))
    look = OWN._replace(ground=0.6)
    assert (one.unusual(look), many.unusual(look)) == ([], ["ground"])


def test_a_trait_that_no_image_had_is_none() -> None:
    usual = Looks.of([OWN._replace(contrast=None, sureness=None)])
    assert usual.contrast is usual.sureness is None
    assert usual.unusual(OWN._replace(contrast=0.0)) == []


def test_a_description_holds_looks() -> None:
    notes = {"looks": json.loads(json.dumps(asdict(USUAL)))}
    spec = ModelSpec.from_dict(ModelSpec("residual_unet", training=notes).to_dict())
    assert spec.training["looks"]["contrast"] == [0.8, 1.0]


@pytest.mark.parametrize(
    "change",
    [{"images": 0}, {"ground": [1, 0]}, {"ground": [0, float("nan")]}, {"ground": 3}, {"hue": 1}],
)
def test_looks_that_cannot_be_are_refused(change) -> None:
    with pytest.raises(UserError, match="looks"):
        ModelSpec("residual_unet", training={"looks": asdict(USUAL) | change})
