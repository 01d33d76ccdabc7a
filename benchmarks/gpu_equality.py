"""Whether the card gives what the CPU's compiled kernels give: loss, gradient, label maps.

Without a card the same operations of torch run on the CPU, the loss's in float64: in float32 the
CPU has the compiled kernels alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

import spatialembed
from gpu_timing import Bench, Case, Figure
from spatialembed.inference.loading import load
from spatialembed.inference.predictor import Model
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models import forward_any_size
from spatialembed.refinement import refine
from spatialembed.terms.centers import CENTERS
from workload import ellipses, initial_output, trained_output

VALUE, GRADIENT = 1e-5, 1e-3
"""Largest relative difference of the loss, and of its gradient in the L2 norm."""


@dataclass(frozen=True)
class Scene:
    """A batch as the loss takes it, on the CPU."""

    output: torch.Tensor
    label_mask: torch.Tensor
    class_map: torch.Tensor
    ignore: torch.Tensor | None


def scene(n_sigma: int, classes: int, objects: int, ignored: bool, seed: int) -> Scene:
    """Two images of random ellipses: outputs as a trained network's and as of one that is not."""
    rng = np.random.default_rng(seed)
    shape = (96, 128)
    masks = [ellipses(shape, objects, seed + b, share=0.4) for b in range(2)]
    outputs = [trained_output(masks[0], n_sigma, seed), initial_output(shape, n_sigma)]
    outputs[1] = outputs[1] + rng.normal(0, 0.01, outputs[1].shape).astype(np.float32)
    output = np.stack(outputs)
    more = output[:, -1:] + rng.normal(0, 1, (2, classes - 1, *shape)).astype(np.float32)
    label_mask = np.stack(masks)
    kinds = rng.integers(classes, size=objects + 1)
    ignore = torch.from_numpy(rng.random(label_mask.shape) < 0.1) if ignored else None
    return Scene(
        torch.from_numpy(np.concatenate([output, more], 1)),
        torch.from_numpy(label_mask),
        torch.from_numpy(kinds[label_mask]),
        ignore,
    )


def value_and_gradient(
    loss: SpatialEmbeddingLoss, given: Scene, like: torch.Tensor
) -> tuple[float, torch.Tensor]:
    """The loss's total and its gradient, computed on the device and in the type of ``like``."""
    output = given.output.to(like, copy=True).requires_grad_()
    truth = (given.label_mask, given.class_map, given.ignore)
    there = (None if t is None else t.to(like.device) for t in truth)
    total = loss.to(like.device)(output, *there)["total"]
    total.backward()
    assert output.grad is not None
    return total.item(), output.grad.double().cpu()


def loss_equal(bench: Bench, center: str) -> Figure:
    """Compare the loss and its gradient over scenes of all kinds with one kind of center."""
    device = bench.device
    dtype = torch.float32 if device.type == "cuda" else torch.float64
    kinds = [
        (n_sigma, classes, objects, ignored)
        for n_sigma in (1, 2)
        for classes in (1, 3)
        for objects in bench.pick((0, 1, 7, 60), (0, 7))
        for ignored in (False, True)
    ]
    values, gradients = [], []
    for seed, (n_sigma, *kind) in enumerate(kinds):
        given = scene(n_sigma, *kind, seed)
        loss = SpatialEmbeddingLoss(n_sigma, center)
        expected, slope = value_and_gradient(loss, given, torch.empty(0))
        found, gradient = value_and_gradient(
            loss, given, torch.empty(0, dtype=dtype, device=device)
        )
        values.append(abs(found - expected) / max(abs(expected), 1e-12))
        gradients.append(float((gradient - slope).norm() / slope.norm().clamp(min=1e-12)))
    beside = f"of the gradient {max(gradients):.1e}; {len(kinds)} batches"
    if not (max(values) <= VALUE and max(gradients) <= GRADIENT):
        raise AssertionError(f"not equal: of the loss {max(values):.1e}, {beside}")
    return Figure(max(values), "relative difference", beside)


def labels_equal(outputs: list[tuple[torch.Tensor, int]], refined: bool) -> Figure:
    """Compare what is found in raw outputs on the card with what is found in their copies."""
    differ = count = 0
    for output, n_sigma in outputs:
        maps = []
        for raw in (output, output.float().cpu().numpy()):
            found = spatialembed.cluster(raw, n_sigma, min_size=10)
            found = refine(found, raw, n_sigma, min_size=10) if refined else found
            maps.append(found.label_map)
        differ += int((maps[0] != maps[1]).sum())
        count += int(maps[1].max())
    if differ or not count:
        raise AssertionError(f"{differ} pixels differ, of {count} objects")
    return Figure(differ, "pixels differ", f"{count} objects in {len(outputs)} images")


def made_there(model: Model, image: np.ndarray) -> torch.Tensor:
    """Raw output of a model's network, left where it was computed."""
    module = model.network.module
    weights = next(module.parameters())
    batch = torch.from_numpy(model.prepared(image))[None].to(weights.device, weights.dtype)
    with torch.inference_mode():
        return forward_any_size(module, batch)[0]


def cells(side: int, objects: int) -> np.ndarray:
    """Grey picture (side, side, 1) uint8 of bright ellipses on a dark, noisy ground."""
    label_mask = ellipses((side, side), objects, share=0.15)
    brightness = np.random.default_rng(0).integers(90, 200, objects + 1)
    brightness[0] = 20
    noise = np.random.default_rng(1).normal(0, 6, label_mask.shape)
    return (brightness[label_mask] + noise).clip(0, 255).astype(np.uint8)[..., None]


def network_equal(bench: Bench, precision: str) -> Figure:
    """Compare the shipped model on the card with itself on the CPU in float32."""
    image = cells(bench.pick(512, 128), bench.pick(60, 6))
    expected = load("nuclei", "cpu", "float32")
    model = load("nuclei", str(bench.device), precision)
    outputs = expected.raw(image), model.raw(image)
    size = np.linalg.norm(outputs[0])
    maps = [m.cluster(o).label_map > 0 for m, o in zip((expected, model), outputs, strict=True)]
    beside = f"{(maps[0] != maps[1]).mean():.1e} of the pixels change between object and ground"
    return Figure(np.linalg.norm(outputs[0] - outputs[1]) / size, "relative difference", beside)


def loss_equality(bench: Bench) -> Iterator[Case]:
    """The loss on the device against the CPU's."""
    for center in CENTERS:
        yield f"loss, {center} centers", partial(loss_equal, bench, center)


def equality(bench: Bench) -> Iterator[Case]:
    """What networks and clustering give on the device against the CPU's."""
    outputs = []
    for seed, (n_sigma, classes) in enumerate([(1, 1), (2, 1), (1, 3), (2, 3)]):
        raw = scene(n_sigma, classes, 30, False, seed).output[0]
        outputs.append((raw.to(bench.device), n_sigma))
        damaged = raw.to(bench.device, torch.float16)
        damaged.view(-1)[:: 997 + seed] = torch.nan
        outputs.append((damaged, n_sigma))
    model = load("nuclei", str(bench.device), "float32")
    raw = made_there(model, cells(bench.pick(512, 128), bench.pick(60, 6)))
    outputs.append((raw, model.spec.n_sigma))
    outputs.append((raw.bfloat16(), model.spec.n_sigma))
    yield "label maps of cluster", partial(labels_equal, outputs, False)
    yield "label maps of cluster and refine", partial(labels_equal, outputs, True)
    for precision in ("float32", "bf16"):
        yield f"nuclei, {precision}, from the CPU's", partial(network_equal, bench, precision)
