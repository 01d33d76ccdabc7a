"""Networks and descriptions of several targets."""

import json
from dataclasses import replace

import pytest
import torch

from spatialembed.embedding import of_targets
from spatialembed.errors import UserError
from spatialembed.models import NETWORKS, build
from spatialembed.models.checkpoint import load_model, save_model
from spatialembed.models.spec import ModelSpec, Target, require_one_target

SMALL = {"residual_unet": {"widths": [8, 8], "blocks": [1, 1]}}


def spec(**changes) -> ModelSpec:
    targets = (Target(0.8, 0.4, 30, 25.0), Target(0.7, 0.5, 5, 8.0))
    given = {"in_channels": 1, "class_names": ("cells", "nuclei"), "n_sigma": 2}
    options = {"network_options": SMALL["residual_unet"], "targets": targets}
    return ModelSpec("residual_unet", **{**given, **options, **changes})


@pytest.mark.parametrize("fine", [0, 4])
@pytest.mark.parametrize("network", NETWORKS)
def test_each_target_starts_as_the_only_one_would(network, fine) -> None:
    options = {**SMALL[network], "fine": fine} if network in SMALL else {}
    made = build(network, 1, 2, 1, 2, 3, **options).eval()
    output = made(torch.rand(2, 1, 64, 64))
    assert output.shape == (2, 15, 64, 64)
    for own in of_targets(output[0], 3):
        assert own.shape == (5, 64, 64)
        assert (own[:2] == 0).all()  # offsets
        assert (own[2:4] == 1).all()  # bandwidths
        assert own[4].std() > 0


def test_targets_of_volumes() -> None:
    made = build("residual_unet", 1, 3, 1, 3, 2, **SMALL["residual_unet"]).eval()
    output = made(torch.rand(1, 1, 4, 8, 8))
    for own in of_targets(output[0], 2):
        assert (own[:3] == 0).all()
        assert (own[3:6] == 1).all()
        assert own.shape == (7, 4, 8, 8)


def test_one_target_is_as_it_was() -> None:
    torch.manual_seed(0)
    one = build("residual_unet", 1, 2, 1, 2, **SMALL["residual_unet"])
    torch.manual_seed(0)
    other = build("residual_unet", 1, 2, 1, 2, 1, **SMALL["residual_unet"])
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert "targets" not in ModelSpec("residual_unet").to_dict()  # files as before


def test_a_description_of_each_target_and_back() -> None:
    whole = spec()
    first, second = whole.each()
    assert (first.class_names, first.seed_threshold, first.min_size) == (("cells",), 0.8, 30)
    assert (second.class_names, second.foreground_threshold, second.targets) == (
        ("nuclei",), 0.5, ()
    )  # fmt: skip
    assert whole.settled(whole.each()) == whole
    changed = whole.settled([replace(first, min_size=31), second])
    assert [own.min_size for own in changed.targets] == [31, 5]
    assert ModelSpec.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    assert whole.largest_first == ("cells", "nuclei")
    assert whole.channels == 10
    assert ModelSpec("residual_unet", class_names=("a", "b", "c"), n_sigma=2).channels == 7


def test_a_model_file_keeps_its_targets(tmp_path) -> None:
    network = spec().build()
    save_model(tmp_path / "m.safetensors", network, spec())
    loaded, known = load_model(tmp_path / "m.safetensors")
    assert known == spec()
    assert loaded(torch.rand(1, 1, 8, 8)).shape[1] == 10


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"targets": (Target(),)}, "one for each of its 2 classes, not 1"),
        ({"targets": (Target(), Target(min_size=0))}, "min_size must lie between"),
        ({"finds_size": True, "object_diameter": 9.0}, "finds no sizes"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, said) -> None:
    with pytest.raises(UserError, match=said):
        spec(**wrong)


def test_what_is_of_one_target_names_what_works() -> None:
    require_one_target(ModelSpec("residual_unet"), "m", "the page")
    with pytest.raises(UserError, match="m finds cells and nuclei, and the page is of one target"):
        require_one_target(spec(), "m", "the page")
