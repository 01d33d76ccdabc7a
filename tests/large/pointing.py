"""A network that is none: images and volumes whose pixels say where their object's center is."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from spatialembed.embedding import PITCH, margin_to_sigma
from spatialembed.inference.predictor import Model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec

MARGIN = 5.0
SPEC = ModelSpec(
    "residual_unet",
    n_sigma=1,
    normalization=Normalization("none"),
    seed_threshold=0.6,
    min_size=12,
    training={"diameters": [8.0, 30.0]},
)


def pointing_image(shape: tuple[int, ...], seed: int, spacing: int = 22) -> np.ndarray:
    """(*S, D + 1) uint8: steps to the center along x, y (and z), plus 128, and how good a seed.

    Objects touch each other, some are too small, and pixels point at their center in a fashion, so
    that whose they are is decided by score, here and there between three objects.
    """
    rng = np.random.default_rng(seed)
    dims = len(shape)
    image = np.zeros((*shape, dims + 1), np.uint8)
    image[..., :dims] = 128
    nearest = np.full(shape, np.inf)
    for corner in product(*(range(spacing // 2, n + spacing, spacing) for n in shape)):
        center = [c + rng.uniform(-7, 7) for c in corner]
        radius = rng.uniform(1, 0.7 * spacing)
        first = [max(0, int(c - radius)) for c in center]
        window = tuple(
            slice(a, max(a, int(c + radius) + 2)) for a, c in zip(first, center, strict=True)
        )
        grid = np.indices(nearest[window].shape)
        away = [c - a - at for c, a, at in zip(center, first, grid, strict=True)]
        far = np.sqrt(sum(step**2 for step in away)) / radius
        inside = (far < 1) & (far < nearest[window])
        nearest[window][inside] = far[inside]
        wobble = rng.normal(0, 2.0, (dims, *far.shape))
        seeds = 200 + rng.integers(0, 55) - 90 * far + rng.normal(0, 3, far.shape)
        steps = [np.round(d + w) + 128 for d, w in zip(away[::-1], wobble, strict=True)]
        image[window][inside] = np.stack([*steps, seeds], -1)[inside].clip(0, 255).astype(np.uint8)
    return image


def point(image: np.ndarray) -> np.ndarray:
    """The raw output that such an image, channels first, stands for."""
    dims = len(image) - 1
    output = np.empty((dims + 2, *image.shape[1:]), np.float32)
    output[:dims] = np.arctanh((image[:dims] - 128) * PITCH)
    output[dims] = margin_to_sigma(MARGIN)
    output[dims + 1] = (image[dims] - 128) / 16
    return output


@dataclass(frozen=True)
class Pointing:
    """Gives workers that network; one that sees a pixel of value 1, 1, 1 kills its process.

    Attributes:
        once: a file that the first of these makes, and after which no other dies; None to die
            every time.
        refine: as in the model's spec.
        dims: 2, or of volumes 3.
    """

    once: Path | None = None
    refine: bool = False
    dims: int = 2

    def load(self) -> Model:
        import os
        import signal
        from dataclasses import replace

        def network(image: np.ndarray) -> np.ndarray:
            if (image == 1).all(0).any() and not (self.once and self.once.exists()):
                if self.once:
                    self.once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return point(image)

        of = {"dims": self.dims, "in_channels": self.dims + 1, "pitch": (PITCH,) * self.dims}
        return Model(network, replace(SPEC, refine=self.refine, **of), "pointing")
