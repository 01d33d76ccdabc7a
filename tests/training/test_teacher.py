"""What a teacher says is what it says in prediction, in the geometry of the network that learns."""

import math
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import killed
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.demo.scenes import make_scenes
from spatialembed.embedding import PITCH, Embedded, embed, margin_to_sigma, sigma_to_margin
from spatialembed.errors import UserError
from spatialembed.inference.loading import weights_of
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models import build
from spatialembed.models.checkpoint import load_model, save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec
from spatialembed.training import TrainConfig, run, train
from spatialembed.training.few_images.careful import is_careful
from spatialembed.training.teacher import TaughtLoss, Teacher, distances, taught

WIDTHS = {"widths": [8, 8], "blocks": [1, 1]}
NOTHING_WAITS = pytest.param("cuda", marks=pytest.mark.gpu)


class Pointwise(nn.Module):
    """Each pixel by itself, so that what it says of an image is easily told."""

    stride = 4

    def __init__(self, maps: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(maps)
        self.weight = nn.Parameter(torch.randn(maps, 1, 1, 1, generator=generator) * 0.2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(image, self.weight.to(image.dtype))


def pictures(count: int, height: int, width: int, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.rand(count, channels, height, width, generator=generator)


def resampled(line: np.ndarray, length: int, smooth: bool) -> np.ndarray:
    """A line at another length: means by a triangle as wide as what a pixel becomes, at least 1."""
    scale, made = len(line) / length, np.zeros(length)
    reach = max(scale, 1.0) if smooth else 1.0
    for i in range(length):
        center = (i + 0.5) * scale - 0.5
        center = center if smooth else min(max(center, 0.0), len(line) - 1.0)
        weights = [max(0.0, 1 - abs(k - center) / reach) for k in range(len(line))]
        made[i] = np.dot(weights, line) / sum(weights)
    return made


def resized(plane: np.ndarray, height: int, width: int, smooth: bool) -> np.ndarray:
    wide = np.array([resampled(row, width, smooth) for row in plane])
    return np.array([resampled(column, height, smooth) for column in wide.T]).T


@pytest.mark.parametrize("margin", [None, 6.0])
@pytest.mark.parametrize("n_sigma", [1, 2])
@pytest.mark.parametrize("zoom", [1.53, 1.0, 0.6])
def test_what_it_says_is_brought_back_as_a_naive_computation_does(zoom, n_sigma, margin) -> None:
    theirs, own, height, width = PITCH * 2, PITCH, 12, 16
    spec = ModelSpec("residual_unet", in_channels=1, pitch=(theirs, theirs), margin=margin)
    network, image = Pointwise(3 + n_sigma), pictures(2, height, width)
    teacher = Teacher(network, replace(spec, n_sigma=n_sigma), zoom, (own, own))
    told = teacher(image)
    lines, columns = round(height * zoom), round(width * zoom)
    ratios = columns / width, lines / height
    for b in range(2):
        seen = resized(image[b, 0].double().numpy(), lines, columns, smooth=True)
        raw = network.weight.detach().double().flatten().numpy()[:, None, None] * seen
        raw = np.array([resized(plane, height, width, smooth=False) for plane in raw])
        places = np.broadcast_to(np.arange(width), (height, width)), np.arange(height)[:, None]
        for d in range(2):
            pixels = places[d] + np.tanh(raw[d]) / theirs / ratios[d]  # of the crop
            np.testing.assert_allclose(told.position[b, d] / own, pixels, atol=1e-3)
        for d in range(n_sigma):
            radius = sigma_to_margin(raw[2 + d], theirs) if margin is None else margin
            expected = np.vectorize(margin_to_sigma)(radius / ratios[d], own)
            np.testing.assert_allclose(told.sigma[b, d], expected + 0 * raw[0], atol=1e-5)
        np.testing.assert_allclose(told.seed[b], raw[2 + n_sigma :], atol=1e-5)


@pytest.mark.parametrize("zoom", [1.3, 0.7])
def test_what_it_says_of_a_crop_is_what_prediction_says_of_an_image(zoom) -> None:
    torch.manual_seed(0)
    network = build("residual_unet", 1, 2, 1, **WIDTHS).eval()
    nn.init.normal_(network.embedding_head.output_conv.weight, std=0.1)
    none = Normalization("none")
    spec = ModelSpec("residual_unet", WIDTHS, 1, n_sigma=2, zoom=zoom, normalization=none)
    image = pictures(1, 40, 56)
    told = Teacher(network, spec, zoom, (PITCH, PITCH))(image)
    model = Model(TorchNetwork(network), spec)
    raw = torch.from_numpy(model.raw(image[0].permute(1, 2, 0).numpy()))
    geometry = model.geometry((40, 56))
    there = embed(raw, 2, geometry["pitch"])
    by = torch.tensor([PITCH / step for step in geometry["pitch"]]).view(2, 1, 1)
    torch.testing.assert_close(told.position[0], there.position * by, rtol=0, atol=1e-2 * PITCH)
    torch.testing.assert_close(told.sigma[0], there.sigma - by.log() / 5, rtol=0, atol=1e-4)
    torch.testing.assert_close(told.seed[0], there.seed, rtol=0, atol=1e-4)


def embedded(seed: int, classes: int = 2, n_sigma: int = 2) -> Embedded:
    generator = torch.Generator().manual_seed(seed)

    def drawn(channels: int) -> torch.Tensor:
        return torch.randn(2, channels, 3, 4, generator=generator, dtype=torch.float64)

    return Embedded(drawn(2) * 0.01, 0.8 + 0.1 * drawn(n_sigma), drawn(classes))


def naive(said: Embedded, told: Embedded, valid: torch.Tensor, foreground: list[float]) -> list:
    """The three distances, pixel by pixel."""
    sums = np.zeros(3)
    for b in range(2):
        seed = position = bandwidth = pixels = inside = 0.0
        for y, x in np.argwhere(valid[b].numpy()):
            s, t = (torch.sigmoid(e.seed[b, :, y, x]).tolist() for e in (said, told))
            for k, (score, aim) in enumerate(zip(s, t, strict=True)):
                seed += (1 + (foreground[k] - 1) * aim) * (score - aim) ** 2
            pixels, inside = pixels + 1, inside + max(t)
            sigmas = [e.sigma[b, :, y, x].tolist() for e in (said, told)]
            for d in range(2):
                margin = math.exp(5 * sigmas[1][min(d, len(sigmas[1]) - 1)])
                away = abs(said.position[b, d, y, x] - told.position[b, d, y, x]) * margin
                position += max(t) * (away**2 / 2 if away < 1 else away - 0.5)
            unlike = [(one - other) ** 2 for one, other in zip(*sigmas, strict=True)]
            bandwidth += max(t) * np.mean(unlike)
        sums += (
            np.array([seed / max(pixels, 1), *(np.array([position, bandwidth]) / max(inside, 1))])
            / 2
        )
    return sums.tolist()


@pytest.mark.parametrize("n_sigma", [1, 2])
def test_distances_are_those_of_a_naive_loop_and_so_are_their_gradients(n_sigma) -> None:
    said, told = embedded(0, n_sigma=n_sigma), embedded(1, n_sigma=n_sigma)
    valid = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(2)) > 0.3
    weight = torch.tensor([10.0, 3.0])
    found = distances(said, told, valid, weight)
    assert list(found) == ["taught_seed", "taught_position", "taught_bandwidth"]
    expected = naive(said, told, valid, [10.0, 3.0])
    np.testing.assert_allclose([float(term) for term in found.values()], expected, rtol=1e-10)
    inputs = [tensor.clone().requires_grad_() for tensor in said]
    assert torch.autograd.gradcheck(
        lambda *parts: torch.stack([*distances(Embedded(*parts), told, valid, weight).values()]),
        inputs,
    )
    torch.autograd.grad(sum(distances(Embedded(*inputs), told, valid, weight).values()), inputs)


def test_what_is_ignored_and_an_image_without_a_valid_pixel_cost_nothing() -> None:
    said, told = embedded(0), embedded(1)
    assert all(
        not term for term in distances(said, told, torch.zeros(2, 3, 4) > 0, torch.ones(1)).values()
    )
    valid = torch.ones(2, 3, 4) > 0
    valid[:, 1:] = False
    before = distances(said, told, valid, torch.ones(1))
    for part in said:
        part[:, :, 1:] += 1
    assert distances(said, told, valid, torch.ones(1)) == before


def test_a_network_that_is_its_own_teacher_is_at_no_distance() -> None:
    torch.manual_seed(0)
    network = build("residual_unet", 1, 2, 1, **WIDTHS).eval()
    nn.init.normal_(network.embedding_head.output_conv.weight, std=0.05)
    spec = ModelSpec("residual_unet", WIDTHS, 1, n_sigma=2)
    loss = TaughtLoss(
        SpatialEmbeddingLoss(n_sigma=2), Teacher(network, spec, 1.0, (PITCH, PITCH)), 5.0
    )
    image, labels = pictures(2, 32, 32), torch.zeros(2, 32, 32, dtype=torch.int32)
    labels[:, 4:20, 6:20] = 1
    batch = labels, torch.zeros_like(labels), labels > 1
    output = network(image)
    terms = loss(output, *batch, image)
    alone = loss.labels(output, *batch)
    assert all(float(terms[name]) < 1e-9 for name in terms if name.startswith("taught"))
    torch.testing.assert_close(terms["total"], alone["total"])
    further = loss(output + 0.1, *batch, image)
    told = (
        1 * further["taught_seed"] + further["taught_position"] + 10 * further["taught_bandwidth"]
    )
    torch.testing.assert_close(
        further["total"] - 5 * told, loss.labels(output + 0.1, *batch)["total"]
    )
    assert not any(parameter.requires_grad for parameter in loss.parameters())


@pytest.mark.parametrize("device", ["cpu", NOTHING_WAITS])
@pytest.mark.parametrize("low", [False, True])
def test_a_gpu_is_not_waited_for(device, low) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    torch.manual_seed(0)
    network = build("residual_unet", 1, 2, 1, **WIDTHS).eval().to(device)
    spec = ModelSpec("residual_unet", WIDTHS, 1, n_sigma=2)
    image, valid = (
        pictures(2, 32, 32).to(device),
        torch.ones(2, 32, 32, dtype=torch.bool).to(device),
    )
    weight = torch.ones(1, dtype=torch.float64).to(device)
    output = torch.zeros(2, 5, 32, 32, device=device, requires_grad=True)
    full = Teacher(network, spec, 1.53, (PITCH, PITCH))(image)
    teacher = Teacher(network.bfloat16() if low else network, spec, 1.53, (PITCH, PITCH))
    teacher(image)  # the first call makes what the next ones need
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        told = teacher(image)
        terms = distances(embed(output, 2, batched=True), told, valid, weight)
        sum(terms.values()).backward()
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert all(part.dtype == torch.float32 for part in told)
    assert output.grad.isfinite().all()
    assert output.grad.any()
    torch.testing.assert_close(told.seed, full.seed, rtol=0.05, atol=0.05)
    torch.testing.assert_close(told.position, full.position, rtol=0, atol=PITCH / 2)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(out, 6, 2, (128, 96))
    return out


@pytest.fixture(scope="module")
def large(scenes, tmp_path_factory) -> Path:
    """A run, of a network that sees images at another size."""
    out = tmp_path_factory.mktemp("large") / "run"
    options = ("--device=cpu", "--diameter=30", "--precision=float32")
    return train(read_recipe("smoke", scenes, f"--out={out}", *options))


def run_of(scenes: Path, out: Path, *options: str) -> TrainConfig:
    here = ("--device=cpu", "--precision=float32", f"--out={out}")
    return read_recipe("smoke", scenes, *here, *options)


def test_the_command_teaches_and_names_the_teacher(scenes, large, tmp_path, capsys) -> None:
    out, plain = tmp_path / "taught", tmp_path / "plain"
    words = ["train", str(scenes), "--config=smoke", "--device=cpu", "--precision=float32"]
    assert main([*words, f"--out={out}", f"--teacher={large}"]) == 0
    zoom = load_model(large / "model.safetensors")[1].zoom
    assert f"which sees crops at {zoom:.3g} times their size" in " ".join(
        capsys.readouterr().out.split()
    )
    assert main([*words, f"--out={plain}"]) == 0
    notes, none = (load_model(at / "model.safetensors")[1].training for at in (out, plain))
    assert notes["teacher"] == weights_of(large)
    assert "teacher" not in none
    for row in killed.rows(out / "losses.csv"):
        assert all(float(row[name]) > 0 for name in row if name.startswith("taught"))
        total = float(row["instance"]) + 10 * float(row["variance"]) + float(row["seed"])
        total += float(row["taught_seed"]) + float(row["taught_position"])
        assert float(row["total"]) == pytest.approx(
            total + 10 * float(row["taught_bandwidth"]), rel=1e-4
        )
    assert "taught_seed" not in killed.rows(plain / "losses.csv")[0]
    one, other = (load_file(at / "model.safetensors") for at in (out, plain))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_weight_of_nothing_leaves_the_weights_as_without_a_teacher(
    scenes, large, tmp_path
) -> None:
    train(run_of(scenes, tmp_path / "none", f"--teacher={large}", "--teacher_weight=0"))
    train(run_of(scenes, tmp_path / "plain"))
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("none", "plain"))
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-5, atol=1e-6)


def test_a_run_is_resumed_with_the_same_teacher_alone(scenes, large, tmp_path, monkeypatch) -> None:
    middle, save, out = tmp_path / "middle", run.save_checkpoint, tmp_path / "whole"
    teacher = tmp_path / "teacher.safetensors"
    shutil.copy(large / "model.safetensors", teacher)

    def saved(folder: Path, config: TrainConfig, state: dict) -> None:
        save(folder, config, state)
        if state["step"] == 3:
            shutil.copytree(folder, middle)

    monkeypatch.setattr(run, "save_checkpoint", saved)
    train(run_of(scenes, out, f"--teacher={teacher}"))
    monkeypatch.setattr(run, "save_checkpoint", save)
    resumed = TrainConfig(data=scenes, out=middle, resume=True, device="cpu", workers=0)
    with pytest.raises(UserError, match=r"teacher was .*teacher\.safetensors"):
        train(replace(resumed, teacher=large))
    network, spec = load_model(teacher)
    save_model(teacher, network, replace(spec, licence="another file"))
    with pytest.raises(
        UserError, match="is not the teacher that the run was started with: restore"
    ):
        train(resumed)
    teacher.unlink()
    with pytest.raises(UserError, match=r"teacher\.safetensors"):
        train(resumed)
    shutil.copy(large / "model.safetensors", teacher)
    train(resumed)
    killed.assert_same(out, middle)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"n_sigma": 1}, r"it has n_sigma 2, not 1; give the run the same, or leave out --teacher"),
        ({"in_channels": 1}, "channels 3, not 1"),
        ({"class_names": ("a", "b")}, r"classes one, not \('a', 'b'\)"),
        ({"normalization": Normalization("percentile")}, "normalization .*range"),
        ({"n_sigma": 1, "in_channels": 1}, "channels 3, not 1; n_sigma 2, not 1"),
        ({"finds_size": True, "object_diameter": 9.0}, "does not say how wide its objects were"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(large, tmp_path, options, told) -> None:
    network, spec = load_model(large / "model.safetensors")
    path = tmp_path / "teacher.safetensors"
    save_model(path, network, replace(spec, object_diameter=None))
    own = replace(spec, training={"teacher": weights_of(path)})
    with pytest.raises(UserError, match=told) as error:
        taught(SpatialEmbeddingLoss(), TrainConfig(teacher=path), replace(own, **options), False)
    assert str(path) in str(error.value)
    assert isinstance(
        taught(
            SpatialEmbeddingLoss(2),
            TrainConfig(teacher=path),
            replace(own, class_names=("any",)),
            False,
        ),
        TaughtLoss,
    )


@pytest.mark.parametrize(("sized", "zoom"), [(False, 2.0 / 1.25), (True, 2.0 * 20 / (1.25 * 30))])
def test_crops_are_shown_as_in_prediction_or_by_the_size_of_objects(
    large, tmp_path, sized, zoom
) -> None:
    network, spec = load_model(large / "model.safetensors")
    path = tmp_path / "teacher.safetensors"
    save_model(path, network, replace(spec, object_diameter=20.0, zoom=2.0, finds_size=sized))
    own = replace(spec, training={"teacher": weights_of(path)}, object_diameter=30.0, zoom=1.25)
    loss = taught(SpatialEmbeddingLoss(2), TrainConfig(teacher=path), own, True)
    assert loss.teacher.zoom == pytest.approx(zoom)
    assert {p.dtype for p in loss.teacher.parameters()} == {torch.bfloat16}


def test_a_missing_teacher_leaves_nothing_behind(scenes, tmp_path) -> None:
    with pytest.raises(UserError, match="there is no model at nowhere"):
        train(run_of(scenes, tmp_path / "run", "--teacher=nowhere"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("careful", [True, None, False])
def test_few_images_are_learned_from_without_one(scenes, large, careful) -> None:
    config = TrainConfig(data=scenes, init=large, teacher=large, careful=careful)
    refused = pytest.raises(UserError, match="leave out --teacher, or add --careful false")
    with nullcontext() if careful is False else refused:
        assert not is_careful(config)
