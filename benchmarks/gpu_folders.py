"""Folders of files on a card, and what each part of the work on them takes.

The networks have no training: as in gpu_images.py another output is clustered in place of theirs.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gpu_images import CARS, SHAPE, SMALL, seen_there, street
from gpu_timing import Bench, Case, Figure, median_seconds
from measure import show
from spatialembed.data.images.reading import read_image
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.formats.results_folder import Results
from spatialembed.inference.cuda_network import CudaNetwork
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.loading import load
from spatialembed.inference.looks import look_at
from spatialembed.inference.predictor import Model
from workload import ellipses, trained_output, untrained

FOLDER_SECONDS = 5.0


class Seen:
    """A network that runs as it is, and then says that it saw something else.

    Args:
        network: of a model on the CPU.
        output: what it says that it saw.
    """

    def __init__(self, network: Any, output: np.ndarray) -> None:
        self.network, self.output = network, output

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.network(image)
        return self.output


class SeenThere(CudaNetwork):
    """The same on a card, where both outputs lie.

    Args:
        network: of a model on a card.
        output: what it says that it saw, there.
    """

    def __init__(self, network: CudaNetwork, output: torch.Tensor) -> None:
        super().__init__(network.module, network.precision)
        self.output = output

    def many(self, images: Sequence[Any]) -> list[torch.Tensor]:
        return [self.output for _ in super().many(images)]


def seeing(model: Model, pixels: np.ndarray, output: np.ndarray) -> Model:
    """A model whose network runs, and then says that it saw this."""
    there = seen_there(model, pixels, output)
    is_here = isinstance(there, np.ndarray)
    model.network = Seen(model.network, there) if is_here else SeenThere(model.network, there)
    return model


def folders(bench: Bench) -> Iterator[Case]:
    """A folder of PNGs to a folder of label TIFFs, and what each part of it takes alone."""
    shape, count = bench.pick(SHAPE, SMALL), bench.pick(200, 4)
    label_mask = ellipses(shape, bench.pick(CARS, 4))
    output = trained_output(label_mask, 1)
    images = bench.scratch / "images"
    write_pictures(images, label_mask, count)
    for name in ("branched_erfnet", "residual_unet"):
        model = load(untrained(name, bench.scratch), str(bench.device), "bf16")
        model = seeing(model, street(label_mask, 0), output)
        yield f"{name}, bf16: files", partial(files, model, images, bench.scratch / name)
    yield from parts(bench, model, images, output)


def write_pictures(folder: Path, label_mask: np.ndarray, count: int) -> None:
    """PNGs of few contents; each has a file of its own, so that each is read and decoded."""
    folder.mkdir()
    for k in range(count):
        path = folder / f"street_{k:04}.png"
        if k < 4:
            Image.fromarray(street(label_mask, k)).save(path, compress_level=3)
        else:
            path.write_bytes((folder / f"street_{k % 4:04}.png").read_bytes())


def files(model: Model, images: Path, out: Path) -> Figure:
    """Images a second, from the first one's end on; cut short where that takes long."""
    ends = []
    for outcome in predict_files(model, find_images([images], out), Results(out, pictures=False)):
        assert outcome.found, outcome.error
        ends.append(time.perf_counter())
        if ends[-1] - ends[0] > FOLDER_SECONDS:
            break
    rate = (len(ends) - 1) / (ends[-1] - ends[0])
    return Figure(rate, "images a second", f"{len(ends)} images, {show(1 / rate)} each")


def parts(bench: Bench, model: Model, images: Path, output: np.ndarray) -> Iterator[Case]:
    """What the last model's images go through, one part after the other."""
    png = images / "street_0000.png"
    pixels = read_image(png)
    there = seen_there(model, pixels, output)
    found = model.cluster(there)
    works = {
        "decoding": lambda: read_image(png),
        "normalising and network": lambda: model.output(pixels),
        "clustering": lambda: model.cluster(there),
        "looking at it": lambda: look_at(model, pixels, there, found),
        "writing": lambda: save_label_tiff(bench.scratch / "labels.tif", found.label_map),
    }
    for name, work in works.items():
        yield (
            f"of these: {name}",
            lambda work=work: Figure(median_seconds(bench.device, work, warm=1)),
        )
