import errno
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spatialembed.errors import UserError
from spatialembed.models import checkpoint
from spatialembed.models.checkpoint import load_model, save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec

SPEC = ModelSpec(
    network="residual_unet",
    network_options={"widths": [8, 16], "blocks": [1, 1]},
    in_channels=2,
    class_names=("car", "Fußgänger"),
    n_sigma=2,
    pitch=(1 / 512, 1 / 300),
    margin=12.5,
    normalization=Normalization("mean-std", mean=(1.5, 2), std=(3, 0.1)),
    seed_threshold=0.83,
    foreground_threshold=0.41,
    min_size=37,
    object_diameter=18.25,
    trained_on="generated scenes",
    licence="CC0",
    training={"steps": 3, "scores": [0.1, None], "recipe": {"lr": 5e-4}},
)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(3)
    made = SPEC.build()
    made(torch.rand(2, 2, 16, 16))  # running statistics that are not the initial ones
    return made.eval()


@pytest.fixture
def saved(tmp_path: Path, network: nn.Module) -> Path:
    path = tmp_path / "run" / "model.safetensors"
    save_model(path, network, SPEC)
    return path


def test_a_file_gives_the_same_network_and_spec(saved: Path, network: nn.Module) -> None:
    image = torch.rand(1, 2, 16, 24)
    for path in (saved, str(saved), saved.parent):
        loaded, spec = load_model(path)
        assert spec == SPEC
        assert not any(module.training for module in loaded.modules())
        assert torch.equal(loaded(image), network(image))
    assert [p.name for p in saved.parent.iterdir()] == ["model.safetensors"]


def test_saves_from_channels_last_and_leaves_the_network_as_it_was(
    tmp_path: Path, network: nn.Module
) -> None:
    image = torch.rand(1, 2, 16, 16)
    expected = network(image)
    network.to(memory_format=torch.channels_last).train()
    save_model(tmp_path / "m.safetensors", network, SPEC)
    assert network.training
    torch.testing.assert_close(load_model(tmp_path / "m.safetensors")[0](image), expected)


def test_half_the_size_is_nearly_the_same_network(tmp_path: Path, network: nn.Module) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, network, SPEC)
    whole = path.stat().st_size
    save_model(path, network, SPEC, half=True)
    assert path.stat().st_size < 0.75 * whole  # its description does not shrink
    image = torch.rand(1, 2, 16, 16)
    loaded, spec = load_model(path)
    assert spec == SPEC
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    torch.testing.assert_close(loaded(image), network(image), atol=1e-2, rtol=1e-2)
    with torch.no_grad():
        next(network.parameters())[0] = 1e6
    with pytest.raises(UserError, match="too large for float16"):
        save_model(path, network, SPEC, half=True)
    assert torch.equal(load_model(path)[0](image), loaded(image))


def rewrite(path: Path, version: object = None, **changes: object) -> Path:
    """The file at ``path`` with its metadata changed."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118  # a file is no mapping
    values = json.loads(metadata["spatialembed"]) | changes
    metadata["spatialembed"] = json.dumps(values)
    if version is not None:
        metadata["spatialembed_format"] = str(version)
    save_file(tensors, path, metadata)
    return path


@pytest.mark.parametrize(
    ("version", "changes", "told"),
    [
        (99, {}, "format version 99.*update"),
        (99, {"network": "novel", "new_setting": 1}, "format version 99.*update"),
        ("new", {}, "damaged"),
        (None, {"network": "novel"}, "no network 'novel'.*newer version"),
        (None, {"network_options": {"depth": 3}}, "depth"),
        (None, {"network_options": {"widths": [8, 24], "blocks": [1, 1]}}, "not those of the"),
        (None, {"surprise": 1}, "surprise"),
        (None, {"min_size": "many"}, "model.safetensors"),
    ],
)
def test_refuses_files_whose_description_does_not_hold(
    saved: Path, version: object, changes: dict, told: str
) -> None:
    with pytest.raises(UserError, match=told) as error:
        load_model(rewrite(saved, version, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"model\.safetensors.*damaged"):
        load_model(saved)


def test_refuses_what_is_not_a_model_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model at"):
        load_model(tmp_path / "missing.safetensors")
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        load_model(tmp_path)
    (tmp_path / "text.safetensors").write_text("not a model " * 100)
    with pytest.raises(UserError, match="not a model file"):
        load_model(tmp_path / "text.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="not written by spatialembed"):
        load_model(tmp_path / "other.safetensors")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    saved: Path, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def half_written(path: Path, content: bytes) -> int:
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.Path, "write_bytes", half_written)
    with pytest.raises(UserError, match=r"model\.safetensors: No space left"):
        save_model(saved, network, SPEC)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network": "vgg"}, "vgg"),
        ({"class_names": ()}, "classes"),
        ({"class_names": "car"}, "list of names"),
        ({"class_names": ("car", "car")}, "different names"),
        ({"n_sigma": 3}, "n_sigma"),
        ({"in_channels": 0}, "in_channels"),
        ({"pitch": (1.0,)}, "pitch"),
        ({"pitch": (1.0, 0.0)}, "pitch"),
        ({"margin": 0.0}, "margin"),
        ({"zoom": 0.0}, "zoom"),
        ({"object_diameter": float("nan")}, "object_diameter"),
        ({"seed_threshold": 1.5}, "seed_threshold"),
        ({"foreground_threshold": float("nan")}, "foreground_threshold"),
        ({"min_size": 0}, "min_size"),
        ({"normalization": {"kind": "mean-std", "mean": [1.0], "std": [1.0]}}, "1 channels"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_spec_checks_itself(changes: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ModelSpec.from_dict(SPEC.to_dict() | changes)
