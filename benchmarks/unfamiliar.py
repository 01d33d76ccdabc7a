"""Whether a model warns of images of other kinds than its own, and of its own does not.

    python benchmarks/unfamiliar.py DATA_ROOT --model nuclei

Four images a kind, of the test part where there is one, their middles of up to 512² pixels; with
--alone also every single validation and test image of DSB2018. What is usual comes of validation
images alone.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import skimage
import tifffile
from PIL import Image

from measure import write_table
from spatialembed.demo.scenes import make_scene
from spatialembed.errors import UserError
from spatialembed.inference.channels import fitting
from spatialembed.inference.evaluate import open_split
from spatialembed.inference.familiarity import other_kind
from spatialembed.inference.loading import load
from spatialembed.inference.looks import look_at
from spatialembed.inference.predictor import Model
from spatialembed.models.looks import Look

COUNT, SIDE = 4, 512

Kind = tuple[str, list[np.ndarray]]

FILES = (
    ("stained tissue in color", "histology/train", "*"),
    ("stained tissue made grey", "histology/train", "*"),
    ("cytology, dark on bright", "cytology/test", "*"),
    ("adherent cells, phase contrast", "phase/train", "*"),
    ("cells over time, phase contrast", "tracking/test", "**/*"),
    ("bacteria, brightfield, sparse", "bacteria/test", "ecolibf_ds1*"),
    ("bacteria, brightfield, dense", "bacteria/test", "ecolibf_ds4*"),
    ("bacteria colony, phase contrast", "bacteria/test", "colony*"),
    ("pebbles made grey", "grains/test", "*"),
)
VOLUMES = (
    ("plastids, electron microscopy", "plastids/test"),
    ("cell walls, ovule", "ovule/test"),
)
FLUORESCENT = (
    ("nuclei of an embryo, confocal", "embryo/train"),
    ("nuclei of a plant, confocal", "plant_nuclei/train"),
)
PHOTOGRAPHS = (
    ("photographs made grey", ("camera.png", "coffee.png", "chelsea.png", "rocket.jpg")),
    ("surfaces, photographed", ("brick.png", "grass.png", "gravel.png")),
    ("pages of text", ("page.png", "text.png")),
)
"""Of scikit-image's package."""
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "12 bits in 16, offset": lambda x: (x * 3000 + 400).astype(np.uint16),
    "dim, 3 % of 16 bits": lambda x: (x * 2000).astype(np.uint16),
    "gamma .5": lambda x: (255 * x**0.5).astype(np.uint8),
    "gamma 2, float": lambda x: (x**2).astype(np.float32),
    "noise": lambda x: np.random.default_rng(0).normal(255 * x, 8).clip(0, 255).astype(np.uint8),
}


def grey(image: np.ndarray) -> np.ndarray:
    """An image in color as PIL makes it grey."""
    return np.asarray(Image.fromarray(image).convert("L")) if image.ndim == 3 else image


def spread(files: list[Path]) -> list[np.ndarray]:
    """Some of the files, evenly spaced."""
    chosen = np.linspace(0, len(files) - 1, min(COUNT, len(files))).astype(int)
    return [tifffile.imread(sorted(files)[i]) for i in chosen]


def planes(root: Path, volume: str) -> list[np.ndarray]:
    """Planes of the inner part of a volume."""
    stack = tifffile.imread(next((root / "volumes" / volume / "images").glob("*.tif")))
    return [stack[z] for z in np.linspace(0.2 * len(stack), 0.8 * len(stack), COUNT).astype(int)]


def unfamiliar(root: Path) -> Iterator[Kind]:
    """Kinds that are not bright blobs on a dark ground."""
    for name, folder, pattern in FILES:
        images = spread(list((root / folder / "images").glob(f"{pattern}.tif")))
        yield name, images if name.endswith("color") else [grey(image) for image in images]
    for name, volume in VOLUMES:
        yield name, planes(root, volume)
    yield "street scenes, generated, made grey", [grey(make_scene(0, n).image) for n in range(4)]
    for name, files in PHOTOGRAPHS:
        folder = Path(skimage.data.__file__).parent
        yield name, [grey(np.asarray(Image.open(folder / file))) for file in files]
    rng = np.random.default_rng(0)
    yield "noise alone", list(rng.normal(100, 10, (4, 300, 400)).clip(0, 255).astype(np.uint8))
    yield "noise of few photons", list(rng.poisson(3, (4, 300, 400)).astype(np.uint16))


def familiar(root: Path) -> Iterator[Kind]:
    """Bright blobs on a dark ground: test images of DSB2018 by what they are like, and others."""
    test = root / "dsb2018" / "test"
    files = sorted((test / "images").glob("*.tif"))
    images = [tifffile.imread(file) for file in files]
    masks = [tifffile.imread(test / "masks" / file.name) for file in files]
    sizes = [(mask > 0).sum() / max(len(np.unique(mask)) - 1, 1) for mask in masks]
    shares = [(mask > 0).mean() for mask in masks]
    for what, values in (
        ("size of objects", sizes),
        ("share of objects", shares),
        ("brightness", [image.mean() for image in images]),
    ):
        order = np.argsort(values)
        for end, chosen in (("least", order[:COUNT]), ("most", order[-COUNT:])):
            yield f"DSB2018, {end} {what}", [images[i] for i in chosen]
    few = spread(files)
    for name, change in CHANGES.items():
        yield f"DSB2018, {name}", [change(image / 255) for image in few]
    for name, volume in FLUORESCENT:
        yield name, planes(root, volume)
    bacteria = root / "bacteria" / "test" / "images"
    for name, pattern in (("sparse", "ds1*"), ("dense", "ds4*")):
        yield f"bacteria, fluorescence, {name}", spread(list(bacteria.glob(f"ecolifl_{pattern}")))


def middle(image: np.ndarray) -> np.ndarray:
    """The middle of an image."""
    top, left = (max(0, (side - SIDE) // 2) for side in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]


def look(model: Model, image: np.ndarray) -> Look:
    """How an image looks to a model."""
    pixels = fitting(model.name, model.spec, image.reshape(*image.shape[:2], -1), "the image")
    model = model.for_image(pixels)
    output = model.raw(pixels)
    return look_at(model, pixels, output, model.cluster(output))


def row(model: Model, kind: Kind, is_own: bool) -> list[str]:
    """Of a kind: whether it is warned of, and why."""
    name, images = kind
    try:
        looks = {f"{i}": look(model, middle(image)) for i, image in enumerate(images)}
        said = other_kind(looks, model)
    except UserError as error:
        said = f"({error})"
    why = "" if said is None else said[said.index("(") + 1 :].partition("), so")[0]
    told = "yes" if said else "no"
    print(name, told, why, flush=True)
    return [name, "own" if is_own else "other", str(len(images)), told, why]


def alone(model: Model, root: Path, split: str) -> list[str]:
    """How many of DSB2018's images would be warned of, each given alone."""
    data = open_split(root / "dsb2018", split, model.spec)
    samples = (data[i] for i in range(len(data)))
    said = [other_kind({s.name: look(model, s.image)}, model) is not None for s in samples]
    return [f"DSB2018, {split}, each alone", "own", str(len(said)), str(sum(said)), ""]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, metavar="DATA_ROOT")
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--alone", action="store_true")
    given = parser.parse_args()
    model = load(given.model)
    rows = [row(model, kind, False) for kind in unfamiliar(given.root)]
    rows += [row(model, kind, True) for kind in familiar(given.root)]
    rows += [alone(model, given.root, split) for split in ("val", "test") if given.alone]
    header = ["images", "kind", "number", "warned of", "by what"]
    arguments = f"DATA_ROOT --model {given.model}{' --alone' * given.alone}"
    write_table("unfamiliar", header, rows, arguments, "accuracy.md")


if __name__ == "__main__":
    main()
