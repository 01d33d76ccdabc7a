"""Model files that were damaged, or say what cannot be: one sentence each, and no memory for it."""

import json
import pickle
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from spatialembed.errors import UserError
from spatialembed.models import build, outline
from spatialembed.models.authors import load_authors_model
from spatialembed.models.checkpoint import load_model, save_model
from spatialembed.models.spec import ModelSpec

OPTIONS = {"widths": [8, 16], "blocks": [1, 1]}
SPEC = ModelSpec("residual_unet", OPTIONS, in_channels=1)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(tmp_path / "m.safetensors", SPEC.build(), SPEC)
    return tmp_path / "m.safetensors"


def parts(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # a file is no mapping
        return dict(file.metadata()), tensors


def sentence(path: Path, load: Any = load_model) -> str:
    with pytest.raises(UserError) as error:
        load(path)
    text = str(error.value)
    assert path.name in text
    assert "\n" not in text
    assert len(text) < 400
    return text


def test_equal_models_are_equal_files(saved: Path, tmp_path: Path) -> None:
    for number in range(8):  # the library's own order of metadata is drawn anew each time
        torch.manual_seed(0)
        save_model(tmp_path / f"{number}.safetensors", SPEC.build(), SPEC)
        assert (tmp_path / f"{number}.safetensors").read_bytes() == saved.read_bytes()


def test_every_flipped_weight_is_seen(saved: Path) -> None:
    content = saved.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for place in range(start, len(content), 997):
        changed = bytearray(content)
        changed[place] ^= 1
        saved.write_bytes(changed)
        assert "not as they were saved" in sentence(saved)


def test_a_changed_threshold_is_seen(saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content.replace(b'seed_threshold\\": 0.9', b'seed_threshold\\": 0.8'))
    assert saved.read_bytes() != content
    assert "not as they were saved" in sentence(saved)


def test_swapped_tensors_are_seen(saved: Path) -> None:
    metadata, tensors = parts(saved)
    one, other = "body.0.0.conv1.weight", "body.0.0.conv2.weight"
    tensors[one], tensors[other] = tensors[other], tensors[one]
    save_file(tensors, saved, metadata)
    assert "not as they were saved" in sentence(saved)


def test_a_file_of_before_there_was_a_checksum_loads(saved: Path) -> None:
    metadata, tensors = parts(saved)
    del metadata["spatialembed_digest"]
    save_file(tensors, saved, metadata)
    network, spec = load_model(saved)
    assert spec == SPEC
    assert all(torch.equal(v, tensors[k]) for k, v in network.state_dict().items())


def test_a_network_does_not_change_with_its_file(saved: Path) -> None:
    network, _ = load_model(saved)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with saved.open("r+b") as file:
        file.write(bytes(saved.stat().st_size))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(saved: Path, value: float) -> None:
    network = SPEC.build()
    network.skip[0].weight.data[0] = value
    save_model(saved, network, SPEC)
    said = sentence(saved)
    assert "1 of 76 tensors" in said
    assert "skip.0.weight" in said
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.fill_(value)
    save_model(saved, network, SPEC)
    assert "hold NaN" in sentence(saved)


SWITCHES = ("refine", "takes_grey", "finds_size")

WRONG: list[tuple[Any, str]] = [
    ("many", "'many'"),
    (None, "None"),
    ([[1]], "[[1]]"),
    ({"a": {"b": 1}}, "{"),
    (True, "True"),
    (10**400, "beyond all bounds"),
    (float("nan"), "nan"),
]


@pytest.mark.parametrize("name", [name for name in SPEC.to_dict() if name not in SWITCHES])
@pytest.mark.parametrize("value", [value for value, _ in WRONG], ids=lambda v: str(v)[:12])
def test_a_description_of_wrong_types(saved: Path, name: str, value: Any) -> None:
    """Whatever is wrong is said; what a setting may be (None, free notes) is taken or refused."""
    metadata, tensors = parts(saved)
    del metadata["spatialembed_digest"]
    metadata["spatialembed"] = json.dumps(json.loads(metadata["spatialembed"]) | {name: value})
    save_file(tensors, saved, metadata)
    try:
        spec = load_model(saved)[1]
    except UserError:
        assert name in sentence(saved) or name == "network_options"
    else:
        given = getattr(spec, name)
        assert given == value or name == "normalization"
        assert type(given) in (str, dict) or given is None or name in ("min_size", "n_sigma")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"in_channels": 10**9}, "in_channels must lie between 1 and 4096"),
        ({"class_names": [str(i) for i in range(100_000)]}, "100000 values"),
        ({"network_options": {"widths": [10**9, 10**9], "blocks": [1, 1]}}, "up to 4096"),
        ({"network_options": {"widths": [8, 16], "blocks": [1, 10**6]}}, "up to 64"),
        ({"network_options": {"widths": [4096] * 7, "blocks": [9] * 7}}, "parameters"),
        ({"network_options": {"widths": [8] * 10**5, "blocks": [1] * 10**5}}, "2 to 7 levels"),
        ({"network_options": {"widths": "wide"}}, "widths must be a list of whole numbers"),
        ({"network_options": {"widths": [8.5, 16], "blocks": [1, 1]}}, "list of whole numbers"),
        ({"network_options": {"n_classes": 3}}, "no option 'n_classes'"),
        ({"network_options": {"self": 3}}, "no option 'self'"),
        ({"zoom": 1e6}, "zoom must lie between"),
        ({"min_size": 10**10}, "min_size must lie between"),
        ({"training": {"symmetries": "all"}}, "symmetries"),
        ({"training": {"symmetries": 10**6}}, "symmetries"),
        ({"training": {"diameters": [1]}}, "diameters"),
        ({"training": {"diameters": [0, 5]}}, "diameters"),
        ({"training": {"holdout": 7}}, "holdout"),
        ({"normalization": {"kind": "range", "low": "small"}}, "low must be a number"),
        ({"normalization": []}, "normalization must be a mapping"),
    ],
)
def test_limits_come_first(saved: Path, changes: dict[str, Any], told: str) -> None:
    metadata, tensors = parts(saved)
    metadata["spatialembed"] = json.dumps(json.loads(metadata["spatialembed"]) | changes)
    save_file(tensors, saved, metadata)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert told in sentence(saved)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '"x"', "[" * 100_000, "[" * 80 + "]" * 80, "9" * 5000]
)
def test_a_description_that_is_none(saved: Path, text: str) -> None:
    metadata, tensors = parts(saved)
    metadata["spatialembed"] = text
    save_file(tensors, saved, metadata)
    assert "its description" in sentence(saved)


@pytest.mark.parametrize(
    ("network", "options", "told"),
    [
        ("residual_unet", {"fine": 10**9}, "up to 4096"),
        ("residual_unet", {"fine": "x"}, "fine must be a whole number"),
        ("branched_erfnet", {"widths": [8]}, "it has none"),
        ("residual_unet", {"network": 1}, "it has widths, blocks, fine"),
    ],
)
def test_options_that_no_network_has(network: str, options: dict[str, Any], told: str) -> None:
    for make in (build, outline):
        with pytest.raises(UserError, match=told):
            make(network, 3, 1, 1, **options)


class Intruder:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code from a file ran",))


@pytest.mark.parametrize("kind", ["torch", "pickle", "module", "script", "numpy"])
def test_a_pickle_is_named_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "theirs.pth"
    linear = torch.nn.Linear(2, 2)
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Intruder()))
    elif kind == "script":
        torch.jit.save(torch.jit.script(linear), path)
    else:
        torch.save({"torch": Intruder(), "module": linear, "numpy": SPEC}[kind], path)
    said = sentence(path, load_authors_model)
    assert "cannot be read" in said
    assert "was run" in said
    assert "weights_only" not in said
    written = capsys.readouterr()
    assert "ran" not in written.out
    assert not written.err


def test_a_flipped_bit_in_a_file_of_torch_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    torch.save({"model_state_dict": {"a": torch.zeros(1000)}}, path)
    content = bytearray(path.read_bytes())
    content[content.find(bytes(400)) + 200] ^= 64
    path.write_bytes(content)
    assert "data/0 is damaged" in sentence(path, load_authors_model)
