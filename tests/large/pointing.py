"""A network that is none: images whose pixels say where their object's center is."""

from dataclasses import dataclass
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


def pointing_image(shape: tuple[int, int], seed: int, spacing: int = 22) -> np.ndarray:
    """(H, W, 3) uint8: steps to the center along x and y, plus 128, and how good a seed it is.

    Objects touch each other, some are too small, and pixels point at their center in a fashion, so
    that whose they are is decided by score, here and there between three objects.
    """
    rng = np.random.default_rng(seed)
    height, width = shape
    image = np.zeros((*shape, 3), np.uint8)
    image[..., :2] = 128
    nearest = np.full(shape, np.inf)
    for y in range(spacing // 2, height + spacing, spacing):
        for x in range(spacing // 2, width + spacing, spacing):
            cy, cx = y + rng.uniform(-7, 7), x + rng.uniform(-7, 7)
            radius = rng.uniform(1, 0.7 * spacing)
            top, left = max(0, int(cy - radius)), max(0, int(cx - radius))
            window = (slice(top, int(cy + radius) + 2), slice(left, int(cx + radius) + 2))
            yy, xx = np.indices(nearest[window].shape)
            dy, dx = cy - top - yy, cx - left - xx
            far = np.hypot(dy, dx) / radius
            inside = (far < 1) & (far < nearest[window])
            nearest[window][inside] = far[inside]
            wobble = rng.normal(0, 2.0, (2, *far.shape))
            values = np.stack(
                [
                    np.round(dx + wobble[0]) + 128,
                    np.round(dy + wobble[1]) + 128,
                    200 + rng.integers(0, 55) - 90 * far + rng.normal(0, 3, far.shape),
                ],
                -1,
            )
            image[window][inside] = values[inside].clip(0, 255).astype(np.uint8)
    return image


def point(image: np.ndarray) -> np.ndarray:
    """The raw output that such an image, channels first, stands for."""
    output = np.empty((4, *image.shape[1:]), np.float32)
    output[:2] = np.arctanh((image[:2] - 128) * PITCH)
    output[2] = margin_to_sigma(MARGIN)
    output[3] = (image[2] - 128) / 16
    return output


@dataclass(frozen=True)
class Pointing:
    """Gives workers that network; one that sees a pixel of value 1, 1, 1 kills its process.

    Attributes:
        once: a file that the first of these makes, and after which no other dies; None to die
            every time.
        refine: as in the model's spec.
    """

    once: Path | None = None
    refine: bool = False

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

        return Model(network, replace(SPEC, refine=self.refine), "pointing")
