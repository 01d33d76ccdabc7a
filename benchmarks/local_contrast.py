"""Evened brightness before a model sees an image: does it help? Paired, on validation images.

    python benchmarks/local_contrast.py nuclei DATA/dsb2018
    python benchmarks/local_contrast.py cells DATA/dsb2018 DATA/phase DATA/histology

Each folder is a kind of image, shown at the median width of its training objects. AP at IoU .50 /
mean AP from .50 to .90, mean over images; differences from images as they are, ± their standard
error. Needs scikit-image.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.exposure import equalize_adapthist

import spatialembed as se
from measure import write_table
from spatialembed.data.index import object_index
from spatialembed.data.open import open_data
from spatialembed.metrics.average_precision import Scores
from spatialembed.metrics.matching import match

NEAR, FAR = 4, 8
"""Widths of an object that a neighbourhood is wide."""


def stretched(image: np.ndarray) -> np.ndarray:
    """(H, W, C) float, each channel from 0 to 1."""
    lowest, span = image.min((0, 1)), np.ptp(image, (0, 1))
    return (image - lowest) / np.maximum(span, 1e-9)


def equalized(image: np.ndarray, width: float) -> np.ndarray:
    """Each channel by contrast-limited adaptive histogram equalization, clipped at 0.01."""
    side = max(8, round(width))
    kernel = [min(side, length) for length in image.shape[:2]]
    channels = np.moveaxis(stretched(image), 2, 0)
    return np.stack([equalize_adapthist(one, kernel, clip_limit=0.01) for one in channels], 2)


def half(image: np.ndarray, width: float) -> np.ndarray:
    """The mean of what CLAHE gives and the image itself."""
    return (equalized(image, width) + stretched(image)) / 2


def standardized(image: np.ndarray, width: float) -> np.ndarray:
    """Less the local mean, by the local deviation and a tenth of its average."""
    sigma = (width, width, 0)
    far = image - gaussian_filter(image.astype(float), sigma)
    deviation = np.sqrt(gaussian_filter(far**2, sigma))
    return far / (deviation + 0.1 * deviation.mean() + 1e-6)


WAYS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    f"CLAHE, {NEAR} objects wide": lambda image, width: equalized(image, NEAR * width),
    f"CLAHE, {FAR} objects wide": lambda image, width: equalized(image, FAR * width),
    f"half of CLAHE, {NEAR} objects wide": lambda image, width: half(image, NEAR * width),
    f"local mean and deviation, {NEAR} objects wide": lambda image, width: standardized(
        image, NEAR * width
    ),
}


def stored(image: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8, from the 0.1st to the 99.9th percentile."""
    low, high = np.percentile(image, (0.1, 99.9))
    return ((image - low) / max(high - low, 1e-9) * 255).clip(0, 255).round().astype(np.uint8)


def scores_of(name: str, folder: Path) -> dict[str, np.ndarray]:
    """(N, 2) AP50 and mean AP of each way on the validation images of a folder."""
    width = float(np.median(object_index(open_data(folder, "train")).diameter))
    model = se.load(name).seeing(width)
    data = open_data(folder, "val")
    found: dict[str, list[list[float]]] = {way: [] for way in ("as it is", *WAYS)}
    for sample in (data[i] for i in range(len(data))):
        image = sample.image
        if model.spec.in_channels == 1:
            image = image.mean(2, keepdims=True).astype(image.dtype)
        seen = {way: stored(change(image, width)) for way, change in WAYS.items()}
        for way, shown in {"as it is": image, **seen}.items():
            label_map = model.predict(shown).label_map
            ap = Scores.of(match(label_map, sample.label_mask, sample.ignore)).ap
            found[way].append([float(ap[0]), float(ap.mean())])
    return {way: np.array(values) for way, values in found.items()}


def with_error(change: np.ndarray) -> str:
    """Mean and standard error of (N,) differences; of a single one no error."""
    error = f" ± {change.std(ddof=1) / np.sqrt(len(change)):.3f}" if len(change) > 1 else ""
    return f"{change.mean():+.3f}{error}"


def main() -> None:
    """Score all ways on all folders and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("data", type=Path, nargs="+")
    given = parser.parse_args()
    rows = []
    for folder in given.data:
        found = scores_of(given.model, folder)
        plain = found.pop("as it is")
        before = " / ".join(f"{value:.3f}" for value in plain.mean(0))
        for way, values in found.items():
            told = [with_error(change) for change in (values - plain).T]
            rows.append([folder.name, str(len(values)), before, way, *told])
    header = ["images of", "images", "as they are", "changed by", "AP50", "mean AP"]
    folders = " ".join(f"DATA/{folder.name}" for folder in given.data)
    write_table("local_contrast", header, rows, f"{given.model} {folders}", "accuracy.md")


if __name__ == "__main__":
    main()
