"""What the benchmarks work on: random ellipses, raw outputs of them, and exported networks."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from spatialembed.demo.scenes import make_scenes
from spatialembed.embedding import PITCH, margin_to_sigma
from spatialembed.export.onnx import export_model
from spatialembed.inference.loading import load
from spatialembed.inference.predictor import Model
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "branched_erfnet": ("branched_erfnet", {}),
    "residual_unet": ("residual_unet", {}),
    "residual_unet of nuclei": (
        "residual_unet",
        {"widths": [48, 64, 96, 160, 224], "blocks": [1, 2, 3, 2, 1], "fine": 16},
    ),
}
"""Name and options of each network; the last one's are those of recipes/nuclei.yaml."""


def ellipses(
    shape: tuple[int, int], objects: int, seed: int = 0, share: float | None = None
) -> np.ndarray:
    """Label mask (H, W) int32 of ellipses; later ones lie over earlier ones.

    Their half axes are 10 to 40 pixels, log-uniform; or, given ``share``, as large as to cover that
    much of the image if none lay over another or over the border.
    """
    rng = np.random.default_rng(seed)
    label_mask = np.zeros(shape, np.int32)
    typical = (
        20.0 if share is None else np.sqrt(share * shape[0] * shape[1] / (max(objects, 1) * np.pi))
    )
    for k in range(objects):
        ry, rx = typical * 2 ** rng.uniform(-1, 1, 2)
        y, x = rng.uniform(0, shape)
        top, left = max(0, int(y - ry)), max(0, int(x - rx))
        yy, xx = np.ogrid[top : int(y + ry) + 2, left : int(x + rx) + 2]
        window = label_mask[top : int(y + ry) + 2, left : int(x + rx) + 2]
        inside = ((yy - y) / ry) ** 2 + ((xx - x) / rx) ** 2 < 1
        window[inside[: window.shape[0], : window.shape[1]]] = k + 1
    return label_mask


def trained_output(label_mask: np.ndarray, n_sigma: int = 2, seed: int = 0) -> np.ndarray:
    """Raw output (D + n_sigma + 1, *S) float32 as a trained network gives it for a label mask.

    Embeddings are scattered around their object's center by a quarter of its radius, bandwidths
    fit the object with noise 0.01, background pixels stay where they are but for 2 pixels of
    noise, seed scores are φ with some noise.
    """
    rng = np.random.default_rng(seed)
    shape = label_mask.shape
    owner = label_mask.ravel()
    counts = np.maximum(np.bincount(owner), 1)
    axes = np.indices(shape).reshape(len(shape), -1)
    center = np.stack([np.bincount(owner, axis) / counts for axis in axes])  # (z,) y, x
    disc = len(shape) == 2
    radius = np.sqrt(counts / np.pi) if disc else np.cbrt(counts * (3 / (4 * np.pi)))
    target = center[:, owner] + rng.normal(size=axes.shape) * (radius / 4)[owner]
    target = np.where(owner > 0, target, axes + rng.normal(0, 2, axes.shape))
    offset = np.arctanh(np.clip((target - axes)[::-1] * PITCH, -0.999, 0.999))
    sigma = np.array([margin_to_sigma(r) for r in radius])[owner]
    sigma = sigma + rng.normal(0, 0.01, (n_sigma, owner.size))
    squared = ((target - center[:, owner]) ** 2).sum(0) / radius[owner] ** 2
    phi = np.exp(-np.log(2) * squared)
    logit = np.where(owner > 0, np.log(phi / (1.02 - phi)), -5) + rng.normal(0, 0.3, owner.size)
    return np.concatenate([offset, sigma, logit[None]]).astype(np.float32).reshape(-1, *shape)


def initial_output(shape: tuple[int, int], n_sigma: int = 2) -> np.ndarray:
    """Raw output of a network before its first step: offsets 0, σ 1, seed logits 0."""
    output = np.zeros((3 + n_sigma, *shape), np.float32)
    output[2 : 2 + n_sigma] = 1
    return output


def untrained(network: str, folder: Path) -> Path:
    """File of a network of :data:`NETWORKS` with fresh weights."""
    path = folder / f"{network}.safetensors"
    spec = ModelSpec(*NETWORKS[network], class_names=("car",), min_size=128)
    save_model(path, spec.build(), spec)
    return path


def exported(network: str, precision: str, folder: Path) -> Model:
    """The same, exported; int8 by generated scenes."""
    made = untrained(network, folder)
    scenes = None
    if precision == "int8":
        scenes = folder / "scenes"
        make_scenes(scenes, 8, 2, (256, 128))
    path = folder / f"{network}-{precision}.onnx"
    export_model(made, path, precision, scenes)
    return load(path)


def nuclei(shape: tuple[int, int], count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W) uint8 of so many nuclei in fluorescence, some touching, and its label mask.

    They are 16 to 32 pixels across, of several shades, blurred, on a noisy ground; one in each of
    so many cells of a grid, drawn by lot.
    """
    rng = np.random.default_rng(seed)
    columns = int(np.ceil((count * shape[1] / shape[0]) ** 0.5))
    rows = -(-count // columns)
    cells = rng.permutation(rows * columns)[:count]
    image, mask = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    for k, (row, column) in enumerate(zip(*np.divmod(cells, columns), strict=True)):
        y = (row + rng.uniform(0.3, 0.7)) * shape[0] / rows
        x = (column + rng.uniform(0.3, 0.7)) * shape[1] / columns
        ry, rx, shade = *rng.uniform(8, 16, 2), rng.uniform(0.4, 1)
        top, left = max(0, int(y - ry)), max(0, int(x - rx))
        window = np.s_[top : int(y + ry) + 2, left : int(x + rx) + 2]
        yy, xx = (np.arange(side)[part] for side, part in zip(shape, window, strict=True))
        far = ((yy[:, None] - y) / ry) ** 2 + ((xx - x) / rx) ** 2
        mask[window][far < 1], image[window][far < 1] = k + 1, shade
    image = 20 + 150 * ndimage.gaussian_filter(image, 1) + rng.normal(0, 6, shape)
    return image.clip(0, 255).astype(np.uint8), mask
