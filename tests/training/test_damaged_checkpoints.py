"""Checkpoints that were damaged: whatever is wrong in them is one sentence, before any training."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spatialembed.errors import UserError
from spatialembed.models.spec import ModelSpec
from spatialembed.training import TrainConfig
from spatialembed.training.averaging import WeightAverage
from spatialembed.training.minutes import Pace
from spatialembed.training.resume import (
    checkpoint_path,
    load_checkpoint,
    resumed_config,
    save_checkpoint,
)

SPEC = ModelSpec("residual_unet", {"widths": [4, 8], "blocks": [1, 1]}, in_channels=1)


def state() -> dict[str, Any]:
    """What a run keeps after a step."""
    network = SPEC.build()
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.rand(2, 1, 16, 16)).square().mean().backward()
    optimizer.step()
    looks = {"names": "a\0b", "digests": torch.tensor([1, 2])}
    pace = Pace([0.5, 0.0], 1.0, 0, 10)
    return {
        "spec": json.dumps(SPEC.to_dict()),
        "step": 3,
        "plan": [4, 2],
        "pace": pace.state(),
        "data": {"train": looks, "val": looks},
        "sums": {"total": 1.5},
        "best_model": {"spec": json.dumps(SPEC.to_dict()), "weights": SPEC.build().state_dict()},
        "best": 0.25,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": WeightAverage(network, 0.9).state_dict(),
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, TrainConfig(), state())
    return tmp_path


def sentence(out: Path) -> str:
    with pytest.raises(
        UserError, match=r"checkpoint\.pt is damaged and cannot be resumed"
    ) as error:
        load_checkpoint(out)
    text = str(error.value)
    assert "\n" not in text
    assert "weights_only" not in text
    assert "--init" in text or "was run" in text
    return text


def change(out: Path, *names: Any, value: Any) -> None:
    """Replace what lies under these names, one in the other; a function is given what is there."""
    path = checkpoint_path(out)
    content = whole = copy.deepcopy(torch.load(path, weights_only=True))
    for name in names[:-1]:
        content = content[name]
    if value is KeyError:
        del content[names[-1]]
    else:
        content[names[-1]] = value(content[names[-1]]) if callable(value) else value
    torch.save(whole, path)


def test_a_whole_one_is_taken(out: Path) -> None:
    assert load_checkpoint(out)["plan"] == [4, 2]


@pytest.mark.parametrize("name", ["config", "generators", *state()])
@pytest.mark.parametrize(
    "value", [KeyError, "x", 7, [7], {}, {"a": torch.zeros(2)}, torch.zeros(3)], ids=str
)
def test_a_name_that_is_missing_or_of_a_wrong_type(out: Path, name: str, value: Any) -> None:
    change(out, name, value=value)
    may_be = {("best", "7"), ("sums", "{}")}
    if (name, str(value)) in may_be:
        load_checkpoint(out)
    else:
        assert name in sentence(out)


def moment(name: str, value: Any) -> tuple[tuple[Any, ...], Any]:
    return ("optimizer", "state", 0, name), value


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (("config",), "{"),
        (("config",), "[" * 100_000),
        (("config",), lambda text: json.dumps(json.loads(text) | {"stages": 3})),
        (("config",), lambda text: json.dumps(json.loads(text) | {"batch": "many"})),
        (("config",), lambda text: json.dumps(json.loads(text) | {"average": 7})),
        (("config",), lambda text: text.replace('"seed": 0', '"sead": 0')),
        (("generators", "cpu"), torch.zeros(5, dtype=torch.uint8)),
        (("generators", "cpu"), "x"),
        (("plan",), [4, -2]),
        (("plan",), []),
        (("step",), -1),
        (("pace", "step"), [0.5]),
        (("pace", "step"), [0.0, 0.5]),
        (("pace", "stage"), 2),
        (("pace", "spent"), "x"),
        (("pace", "speed"), 1.0),
        (("data", "val"), KeyError),
        (("data", "train", "names"), 3),
        (("data", "train", "digests"), [1, 2]),
        (("data", "train", "digests"), torch.tensor([1])),
        (("sums", "total"), "x"),
        (("best_model", "spec"), "{}"),
        (("best_model", "weights"), KeyError),
        (("best_model", "weights", "stem.0.weight"), torch.zeros(3)),
        (("network", "stem.0.weight"), KeyError),
        (("network", "stem.0.weight"), torch.zeros(3)),
        (("network", "stem.0.weight"), 3),
        (("network", "stem.0.weight"), lambda tensor: tensor * np.nan),
        (("average", "updates"), "x"),
        (("average", "network"), 3),
        (("average", "network", "stem.0.weight"), torch.zeros(3)),
        (("optimizer", "state"), 3),
        (("optimizer", "param_groups"), []),
        (("optimizer", "param_groups", 0), 3),
        (("optimizer", "param_groups", 0, "params"), [0]),
        moment("exp_avg", torch.zeros(3)),
        moment("exp_avg", KeyError),
        moment("exp_avg_sq", lambda tensor: tensor * np.inf),
        moment("step", "x"),
    ],
)
def test_what_lies_deeper(out: Path, names: tuple[Any, ...], value: Any) -> None:
    change(out, *names, value=value)
    sentence(out)


def test_any_flipped_bit_of_the_tensors_is_seen(out: Path) -> None:
    """Torch writes a checksum with each and does not look at it."""
    path = checkpoint_path(out)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    seen = 0
    for place in rng.integers(0, len(content), 150):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            found = load_checkpoint(out)
        except UserError:
            seen += 1
        else:  # between the records, or in one that nothing reads
            path.write_bytes(content)
            whole = load_checkpoint(out)
            for name, tensor in whole["network"].items():
                assert torch.equal(tensor, found["network"][name])
    assert seen > 50


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_truncated_one(out: Path, share: float) -> None:
    content = checkpoint_path(out).read_bytes()
    checkpoint_path(out).write_bytes(content[: int(share * len(content))])
    sentence(out)


@pytest.mark.parametrize("content", [3, [1], {}, {"format": 2}, torch.zeros(2)], ids=str)
def test_what_torch_wrote_and_is_none(out: Path, content: Any) -> None:
    torch.save(content, checkpoint_path(out))
    sentence(out)


@pytest.mark.parametrize(("version", "told"), [(1, "an older version"), (99, "a newer version")])
def test_those_of_other_versions_are_told_apart_from_damaged_ones(
    out: Path, version: int, told: str
) -> None:
    change(out, "format", value=version)
    with pytest.raises(UserError, match=told):
        load_checkpoint(out)


def test_an_option_that_is_no_more_is_passed_over(out: Path) -> None:
    change(out, "config", value=lambda text: text.replace('"optimizer"', '"nodes": 2, "optimizer"'))
    state = load_checkpoint(out)
    assert resumed_config(state, TrainConfig(out=out, resume=True)).optimizer == "adam"


def test_an_option_that_is_newer_than_the_run_has_its_default(out: Path) -> None:
    def without(text: str) -> str:
        options = json.loads(text)
        del options["average"]
        return json.dumps(options)

    change(out, "config", value=without)
    resumed = resumed_config(load_checkpoint(out), TrainConfig(out=out, resume=True))
    assert resumed.average == TrainConfig().average
