"""``--symmetries`` against one view and against the plain mean of views, image by image.

    python benchmarks/symmetries.py nuclei                                # generated dense scenes
    python benchmarks/symmetries.py nuclei DSB2018 --split val
    python benchmarks/symmetries.py nuclei CYTOLOGY --split train --invert

"dense": 20 images of 256², ellipses that touch, a tenth of them missing. AP at IoU .50 / mean AP
from .50 to .90, mean over images; differences are paired, ± their standard error.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

import spatialembed as se
from spatialembed.data import open_data
from spatialembed.inference import symmetries
from spatialembed.inference.predictor import Model
from spatialembed.metrics.average_precision import score_images

Truth = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Image, label mask, what is ignored."""


def dense(rng: np.random.Generator, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Image (side, side) uint8 of ellipses on a jittered grid, and its label mask."""
    y, x = np.indices((side, side))
    mask, image = np.zeros((side, side), np.int32), np.zeros((side, side))
    nearest, step = np.full((side, side), np.inf), rng.uniform(12, 20)
    for cy in np.arange(0, side, step * 0.9):
        for cx in np.arange(0, side, step):
            if rng.random() < 0.1:
                continue
            dy, dx = np.stack([y, x]) - rng.normal((cy, cx), step * 0.15)[:, None, None]
            turn, shade = rng.uniform(0, np.pi), rng.uniform(0.5, 1)
            long, short = step * rng.uniform(0.45, 0.65), step * rng.uniform(0.35, 0.55)
            along, across = (
                dx * np.cos(turn) + dy * np.sin(turn),
                dy * np.cos(turn) - dx * np.sin(turn),
            )
            far = np.hypot(along / long, across / short)
            closer = (far < 1) & (far < nearest)
            mask[closer], nearest[closer] = mask.max() + 1, far[closer]
            image[closer] = shade * np.sqrt(1 - 0.6 * far[closer] ** 2)
    mask[np.isin(mask, np.flatnonzero(np.bincount(mask.ravel()) < 15))] = 0
    image = 20 + 150 * ndimage.gaussian_filter(image, 1) + rng.normal(0, 6, image.shape)
    return image.clip(0, 255).astype(np.uint8), mask


def samples(given: argparse.Namespace, model: Model) -> Iterator[Truth]:
    """The images to score."""
    if given.data is None:
        rng = np.random.default_rng(5)
        yield from ((*dense(rng), None) for _ in range(20))
        return
    holdout = model.spec.training.get("holdout", 0.15)
    dataset = open_data(given.data, given.split, model.spec.class_names, holdout)
    for sample in (dataset[i] for i in range(len(dataset))):
        image = sample.image.max() - sample.image if given.invert else sample.image
        yield image, sample.label_mask, sample.ignore


class Remembering:
    """A network that says of an image it was given before what it said then."""

    def __init__(self, model: Model) -> None:
        self.network, self.known = model.network, dict[bytes, np.ndarray]()

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """As the network."""
        key = image.shape[1].to_bytes(4) + image.tobytes()
        if key not in self.known:
            self.known[key] = self.network(image)
        return self.known[key]


def main() -> None:
    """Print the three ways' scores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--split", default="val")
    parser.add_argument("--invert", action="store_true")
    parser.add_argument("--diameter", type=float)
    given = parser.parse_args()
    model = se.load(given.model, symmetries=True, diameter=given.diameter)
    count, back = model.symmetries, symmetries.GIVEN_BACK
    ways = {"one view": (1, 0.0), "their mean": (count, 0.0), "--symmetries": (count, back)}
    found: dict[str, list[tuple[object, ...]]] = {way: [] for way in ways}
    own = model.network
    for k, (image, mask, ignore) in enumerate(samples(given, model)):
        model.network = own
        model.network = Remembering(model)
        for way, (model.symmetries, symmetries.GIVEN_BACK) in ways.items():
            found[way].append((model.cluster(model.raw(image)), mask, None, ignore, str(k)))
    names = model.spec.class_names
    scores = {
        way: np.array([(i["ap50"], i["ap"]) for i in score_images(pairs, names)["images"]])
        for way, pairs in found.items()
    }
    for way, score in scores.items():
        line = f"{way}: {score[:, 0].mean():.3f} / {score[:, 1].mean():.3f}"
        for other in ways:
            difference = score - scores[other]
            error = difference.std(0, ddof=1) / len(score) ** 0.5
            if difference.any():
                both = zip(difference.mean(0), error, strict=True)
                line += f"; to {other} " + " / ".join(f"{d:+.3f} ± {e:.3f}" for d, e in both)
        worse = np.count_nonzero(score[:, 1] < scores["one view"][:, 1] - 0.01)
        print(f"{line}; by more than .01 below one view on {worse} of {len(score)} images")


if __name__ == "__main__":
    main()
