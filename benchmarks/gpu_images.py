"""Whole images on a card: networks, clustering, and the shipped model.

The networks of the street scenes have no training: their output is computed and thrown away, and a
trained-like output of the same size is clustered in its place, so that there is something to find.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spatialembed
from gpu_equality import cells
from gpu_timing import Bench, Case, Figure, median_seconds, product_rate
from measure import operations, show
from naive import reference
from spatialembed.inference.loading import load, load_network
from spatialembed.inference.one_pass import in_one_pass
from spatialembed.inference.predictor import Model
from spatialembed.kernels.foreground import fetch
from spatialembed.models.folding import folded
from spatialembed.refinement import refine
from workload import ellipses, trained_output, untrained

SHAPE, SMALL = (1024, 2048), (64, 96)
CARS = 20
TRIED = ", kernels tried first"

WAYS = {
    "float32": (torch.float32, torch.contiguous_format),
    "float32, channels last": (torch.float32, torch.channels_last),
    "bf16, channels last": (torch.bfloat16, torch.channels_last),
    "fp16, channels last": (torch.float16, torch.channels_last),
}


def whole_images(bench: Bench) -> Iterator[Case]:
    """One street scene: networks alone, then array to instances, then clustering alone."""
    shape = bench.pick(SHAPE, SMALL)
    objects = bench.pick(CARS, 4)
    label_mask = ellipses(shape, objects)
    output = trained_output(label_mask, 1)
    pixels = street(label_mask, 0)
    for name in bench.pick(("branched_erfnet", "residual_unet"), ("residual_unet",)):
        path = untrained(name, bench.scratch)
        for way in WAYS:
            yield f"{name}, {way}", partial(forward, bench, path, shape, way)
        if bench.device.type == "cuda":
            for tried in (False, True):
                yield (
                    f"{name}, bf16, channels last, as a CUDA graph{TRIED * tried}",
                    partial(forward, bench, path, shape, "bf16, channels last", True, tried),
                )
        for precision in ("float32", "bf16"):
            yield (
                f"{name}, {precision}: array to instances, by the library",
                partial(array_to_instances, bench, path, pixels, output, precision),
            )
    yield from clusterings(bench, output, objects)


def street(label_mask: np.ndarray, seed: int) -> np.ndarray:
    """Picture (H, W, 3) uint8 that PNG packs about as well as a photograph of a street."""
    noise = np.random.default_rng(seed).integers(0, 12, (*label_mask.shape, 3))
    slope = np.linspace(40, 120, len(label_mask))[:, None, None]
    return (noise + slope + 90 * (label_mask > 0)[..., None]).astype(np.uint8)


def forward(
    bench: Bench,
    path: Path,
    shape: tuple[int, int],
    way: str,
    graph: bool = False,
    tried: bool = False,
) -> Figure:
    """A network alone, as the library prepares it, from an image on the card.

    Whether kernels are ``tried`` first is up to cuDNN's benchmark, which the library leaves off.
    """
    dtype, layout = WAYS[way]
    module = in_one_pass(folded(load_network(path)[0])).to(bench.device, dtype)
    module = module.to(memory_format=layout)
    image = torch.rand(1, 3, *shape, device=bench.device).to(dtype)
    image = image.contiguous(memory_format=layout)
    torch.backends.cudnn.benchmark = tried
    try:
        with torch.inference_mode():
            counted = operations(lambda: module(image))
            work = captured(module, image) if graph else partial(module, image)
            seconds = median_seconds(bench.device, work)
    finally:
        torch.backends.cudnn.benchmark = False
    share = counted / seconds / product_rate(bench.device, dtype)
    return Figure(seconds, beside=f"{share:.1%} of the limit of products")


def captured(module: torch.nn.Module, image: torch.Tensor):
    """The same work, put together once and then started as a whole."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            module(image)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        module(image)
    return graph.replay


def array_to_instances(
    bench: Bench, path: Path, pixels: np.ndarray, output: np.ndarray, precision: str
) -> Figure:
    """A decoded picture to its instances, with everything that crosses between card and host.

    What the network says lies on the card, and so does what is clustered in its place.
    """
    model = load(path, str(bench.device), precision)
    there = seen_there(model, pixels, output)

    def work() -> object:
        return model.output(pixels), model.cluster(there)

    seconds = median_seconds(bench.device, work)
    alone = median_seconds(bench.device, lambda: model.output(pixels))
    return Figure(
        seconds, beside=f"{1 / seconds:.0f} a second; {show(alone)} of it to the raw output"
    )


def seen_there(model: Model, pixels: np.ndarray, output: np.ndarray) -> Any:
    """A raw output as the model would leave its own: where that lies, and of its type."""
    own = model.output(pixels)
    return output if isinstance(own, np.ndarray) else torch.from_numpy(output).to(own)


def clusterings(bench: Bench, output: np.ndarray, objects: int) -> Iterator[Case]:
    """Clustering of raw outputs that lie on the card: of the street, of larger and of many objects.

    What is foreground crosses to the host, and costs there; so its share is told.
    """
    yield from clustering(bench, output, objects)
    naive = partial(reference.cluster, output, min_size=128)
    yield (
        "clustering by naive loops, on the CPU",
        lambda: Figure(median_seconds(bench.device, naive, warm=0)),
    )
    for name, shape, number in (
        ("larger", bench.pick(SHAPE, SMALL), objects),
        ("2048² of cells", bench.pick((2048, 2048), SMALL), bench.pick(1000, 4)),
    ):
        mask = ellipses(shape, number, share=0.1)
        yield from clustering(bench, trained_output(mask, 1), number, f", {name}")


def clustering(bench: Bench, output: np.ndarray, objects: int, name: str = "") -> Iterator[Case]:
    """Clustering of one raw output, and refinement; in bf16 too, as networks leave it."""
    there = torch.from_numpy(output).to(bench.device)
    low = there.bfloat16()
    found = spatialembed.cluster(there)
    pixels = int((output[3] >= 0).sum())

    def timed(work, beside: str = "") -> Figure:
        return Figure(median_seconds(bench.device, work), beside=beside)

    beside = f"{len(found)} found of {objects}; {pixels / output[3].size:.1%} foreground"
    size = f"{4e-6 * pixels * (len(output) + 1):.2g} MB"
    yield f"clustering{name}", lambda: timed(lambda: spatialembed.cluster(there), beside)
    yield f"clustering{name}, bf16", lambda: timed(lambda: spatialembed.cluster(low))
    yield (
        f"of it: fetching the foreground{name}",
        lambda: timed(lambda: fetch(there, 3, 0.0), size),
    )
    yield f"refinement{name}", lambda: timed(lambda: refine(found, there))


def shipped(bench: Bench) -> Iterator[Case]:
    """The shipped model of nuclei on a large picture."""
    image = cells(bench.pick(2048, 64), bench.pick(1000, 4))
    for precision, symmetries in (("float32", False), ("bf16", False), ("bf16", True)):
        name = f"{image.shape[0]}², {precision}{', symmetries' if symmetries else ''}"
        yield name, partial(nuclei, bench, image, precision, symmetries)


def nuclei(bench: Bench, image: np.ndarray, precision: str, symmetries: bool) -> Figure:
    """One picture to its instances."""
    model = load("nuclei", str(bench.device), precision, symmetries)
    found = len(model.predict(image))
    seconds = median_seconds(bench.device, lambda: model.predict(image), warm=1, budget=1.5)
    return Figure(seconds, beside=f"{found} found; network sees {model.zoom:.2f} × the size")
