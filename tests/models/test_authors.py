"""Files as the authors' training writes them, built from the tensor list of the published ones.

The oracle runs the network from the state dict alone with torch.nn.functional; it shares no code
with the package.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from spatialembed.errors import UserError
from spatialembed.models.authors import load_authors_model

State = dict[str, Tensor]
DILATIONS = [1] * 6 + [1] + [2, 4, 8, 16] * 2
PERCENTILES = {"kind": "percentile", "low": 1, "high": 99.8}


def published(n_sigma: int = 1, n_classes: int = 1, channels: int = 3, seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    state: State = {}

    def conv(name: str, out: int, *shape: int, bias: int | None = None) -> None:
        fan_in = int(np.prod(shape))
        state[f"{name}.weight"] = torch.randn(out, *shape, generator=generator) / fan_in**0.5
        state[f"{name}.bias"] = torch.randn(bias or out, generator=generator) * 0.1

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = torch.rand(width, generator=generator) + 0.5
        state[f"{name}.bias"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.running_mean"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.running_var"] = torch.rand(width, generator=generator) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(1234)

    def down(name: str, into: int, out: int) -> None:
        conv(f"{name}.conv", out - into, into, 3, 3)
        norm(f"{name}.bn", out)

    def block(name: str, width: int) -> None:
        for index in (1, 2):
            conv(f"{name}.conv3x1_{index}", width, width, 3, 1)
            conv(f"{name}.conv1x3_{index}", width, width, 1, 3)
            norm(f"{name}.bn{index}", width)

    down("encoder.initial_block", channels, 16)
    for layer in range(15):
        name = f"encoder.layers.{layer}"
        if layer in (0, 6):
            down(name, *((16, 64) if layer == 0 else (64, 128)))
        else:
            block(name, 64 if layer < 6 else 128)
    conv("encoder.output_conv", 2 + n_sigma + n_classes, 128, 1, 1)
    for decoder, outputs in enumerate((2 + n_sigma, n_classes)):
        for layer, (into, out) in enumerate(((128, 64), (64, 64), (64, 64), (64, 16))):
            name = f"decoders.{decoder}.layers.{layer}"
            if layer in (0, 3):
                conv(f"{name}.conv", into, out, 3, 3, bias=out)
                norm(f"{name}.bn", out)
            else:
                block(name, 64)
        block(f"decoders.{decoder}.layers.4", 16)
        block(f"decoders.{decoder}.layers.5", 16)
        conv(f"decoders.{decoder}.output_conv", 16, outputs, 2, 2, bias=outputs)
    return state


def run(state: State, image: Tensor) -> Tensor:
    def norm(name: str, x: Tensor) -> Tensor:
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.{key}"] for key in keys), eps=1e-3)

    def conv(name: str, x: Tensor, **how: Any) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **how)

    def down(name: str, x: Tensor) -> Tensor:
        y = torch.cat((conv(f"{name}.conv", x, stride=2, padding=1), F.max_pool2d(x, 2)), 1)
        return F.relu(norm(f"{name}.bn", y))

    def up(name: str, x: Tensor) -> Tensor:
        weight, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
        y = F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        return F.relu(norm(f"{name}.bn", y))

    def block(name: str, x: Tensor, d: int = 1) -> Tensor:
        y = F.relu(conv(f"{name}.conv3x1_1", x, padding=(1, 0)))
        y = F.relu(norm(f"{name}.bn1", conv(f"{name}.conv1x3_1", y, padding=(0, 1))))
        y = F.relu(conv(f"{name}.conv3x1_2", y, padding=(d, 0), dilation=(d, 1)))
        y = norm(f"{name}.bn2", conv(f"{name}.conv1x3_2", y, padding=(0, d), dilation=(1, d)))
        return F.relu(y + x)

    x = down("encoder.initial_block", image)
    for layer in range(15):
        name = f"encoder.layers.{layer}"
        x = down(name, x) if layer in (0, 6) else block(name, x, DILATIONS[layer])
    outputs = []
    for decoder in ("decoders.0", "decoders.1"):
        y = x
        for layer in range(6):
            name = f"{decoder}.layers.{layer}"
            y = up(name, y) if layer in (0, 3) else block(name, y)
        last = f"{decoder}.output_conv"
        outputs.append(
            F.conv_transpose2d(y, state[f"{last}.weight"], state[f"{last}.bias"], stride=2)
        )
    return torch.cat(outputs, 1)


def write(path: Path, state: State, prefix: str = "module.", legacy: bool = False) -> Path:
    """What the original's training writes, with numpy's number for the best IoU."""
    momentum = {0: {"step": 10, "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}}
    content = {
        "epoch": 7,
        "best_iou": np.float64(0.71),
        "model_state_dict": {prefix + key: value for key, value in state.items()},
        "optim_state_dict": {"state": momentum, "param_groups": [{"lr": 5e-4, "params": [0]}]},
        "logger_data": {"train": [0.5, 0.4], "val": [0.6, 0.5], "iou": [np.float64(0.3), 0.71]},
    }
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def beside(folder: Path, properties: object, normalization: object) -> None:
    (folder / "data_properties.json").write_text(json.dumps(properties))
    (folder / "normalization.json").write_text(json.dumps(normalization))


def test_the_published_tensors_are_counted_right() -> None:
    state = published()
    trained = [v for k, v in state.items() if "running" not in k and "tracked" not in k]
    assert len(state) == 433
    assert sum(v.numel() for v in trained) == 2_252_644


@pytest.mark.parametrize("prefix", ["module.", ""])
@pytest.mark.parametrize("legacy", [False, True])
def test_an_original_file_gives_its_networks_output(
    tmp_path: Path, prefix: str, legacy: bool
) -> None:
    state = published()
    network, spec = load_authors_model(write(tmp_path / "best.pth", state, prefix, legacy))
    image = torch.rand(1, 3, 64, 96)
    expected = run(state, image)
    assert expected.std() > 0.1
    torch.testing.assert_close(network(image), expected, rtol=0, atol=1e-4)
    assert not network.training
    assert spec.pitch == pytest.approx((2 / 2047, 1 / 1023))
    assert spec.class_names == ("car",)
    assert (spec.in_channels, spec.n_sigma) == (3, 1)
    assert spec.normalization.kind == "range"


def test_sizes_come_from_the_tensors(tmp_path: Path) -> None:
    state = published(n_classes=8)
    network, spec = load_authors_model(write(tmp_path / "eight.pth", state))
    image = torch.rand(1, 3, 32, 32)
    assert len(spec.class_names) == 8
    torch.testing.assert_close(network(image), run(state, image), rtol=0, atol=1e-4)


def test_a_bare_state_dict_loads(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "bare.pth")
    assert load_authors_model(tmp_path / "bare.pth")[1].class_names == ("car",)


@pytest.mark.parametrize("folder", [".", "run"])
def test_an_embedseg_file_takes_grid_and_normalization_from_its_json(
    tmp_path: Path, folder: str
) -> None:
    beside(tmp_path, {"train": {"n_x": 1024, "n_y": 512}, "min_object_size": 36}, PERCENTILES)
    (tmp_path / folder).mkdir(exist_ok=True)
    state = published(n_sigma=2, channels=1)
    network, spec = load_authors_model(write(tmp_path / folder / "best_iou_model.pth", state))
    image = torch.rand(1, 1, 32, 40)
    torch.testing.assert_close(network(image), run(state, image), rtol=0, atol=1e-4)
    assert spec.pitch == pytest.approx((1 / 1023, 1 / 511))
    assert (spec.in_channels, spec.n_sigma, spec.class_names) == (1, 2, ("object",))
    assert (spec.normalization.kind, spec.normalization.high) == ("percentile", 99.8)
    assert spec.min_size == 36


@pytest.mark.parametrize(
    ("normalization", "kind"),
    [
        ({"mean": 12.5, "std": 3.0}, "mean-std"),
        ({"pmin": 1, "pmax": 99.8}, "percentile"),
        ({"data": {"type": "8-bit"}}, "range"),
        ({"kind": "none"}, "none"),
    ],
)
def test_normalization_files_are_read_tolerantly(
    tmp_path: Path, normalization: dict, kind: str
) -> None:
    beside(tmp_path, {"n_x": 256, "n_y": 256}, normalization)
    path = write(tmp_path / "m.pth", published(n_sigma=2, channels=1))
    assert load_authors_model(path)[1].normalization.kind == kind


@pytest.mark.parametrize(
    ("properties", "normalization", "told"),
    [
        ({"n_x": 256}, PERCENTILES, "no n_y"),
        ({"n_x": "wide", "n_y": 256}, PERCENTILES, "no n_x"),
        ({"n_x": 1, "n_y": 256}, PERCENTILES, "no n_x"),
        ({"n_x": 256, "n_y": 256}, {"something": 1}, r"something.*\"kind\": \"range\""),
        ({"n_x": 256, "n_y": 256}, {"mean": [1, 2], "std": [1, 2]}, "2 channels"),
        ({"n_x": 256, "n_y": 256}, {"pmin": None, "pmax": 3}, r"normalization\.json"),
    ],
)
def test_says_what_the_json_files_lack(
    tmp_path: Path, properties: dict, normalization: dict, told: str
) -> None:
    beside(tmp_path, properties, normalization)
    with pytest.raises(UserError, match=told):
        load_authors_model(write(tmp_path / "m.pth", published(n_sigma=2, channels=1)))


def test_an_embedseg_file_without_its_json_files_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.pth", published(n_sigma=2, channels=1))
    with pytest.raises(UserError, match=r"there is no data_properties\.json"):
        load_authors_model(path)
    (tmp_path / "data_properties.json").write_text('{"n_x": 8, "n_y": 8}')
    with pytest.raises(UserError, match=r"there is no normalization\.json"):
        load_authors_model(path)
    (tmp_path / "normalization.json").write_text("{")
    with pytest.raises(UserError, match="not a JSON file"):
        load_authors_model(path)


class Intruder:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code from a file ran",))


def test_refuses_what_is_not_such_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="no model at"):
        load_authors_model(tmp_path / "missing.pth")
    path = write(tmp_path / "m.pth", published())
    content = path.read_bytes()
    for share in (0, 0.3, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(UserError, match="cannot be read"):
            load_authors_model(path)
    torch.save({"model_state_dict": {"weight": torch.zeros(1)}}, path)
    with pytest.raises(UserError, match="not a branched ERFNet"):
        load_authors_model(path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="no 'model_state_dict'"):
        load_authors_model(path)
    lacking = published()
    lacking.pop("encoder.layers.3.bn1.weight")
    with pytest.raises(UserError, match=r"encoder\.layers\.3\.bn1\.weight"):
        load_authors_model(write(path, lacking))
    torch.save({"model_state_dict": Intruder()}, path)
    with pytest.raises(UserError, match="cannot be read"):
        load_authors_model(path)
    assert "ran" not in capsys.readouterr().out
