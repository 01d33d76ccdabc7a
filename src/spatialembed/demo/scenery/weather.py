"""Light and sky of a generated scene: from a clear noon to a misty morning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatialembed.demo.scenery.canvas import Camera, Floats, rgb


@dataclass(frozen=True)
class Light:
    """The weather and the time of day: how colors look and where the sun stands.

    Attributes:
        sun: (3,) unit vector towards the sun.
        sun_color, ambient: (3,) factors on a surface's color, lit by the sun and in the shade.
        sky_top, sky_low: (3,) RGB of the sky overhead and at the horizon.
        haze: metres after which the sky's color at the horizon has taken 63 % of a color.
        clouds: share of the sky that is covered, about 0..1.
        shadow: how much of the light a cast shadow takes away, in [0, 1].
        dusk: whether lamps are on.
    """

    sun: Floats
    sun_color: Floats
    ambient: Floats
    sky_top: Floats
    sky_low: Floats
    haze: float
    clouds: float
    shadow: float
    dusk: bool = False

    def shade(
        self, color: Floats, normal: Floats, distance: float | Floats, gloss: float | Floats = 0.0
    ) -> Floats:
        """Colors (..., 3) of surfaces of unit ``normal`` (..., 3), ``distance`` metres away.

        ``gloss`` is the share of the sky that a surface facing up mirrors.
        """
        up = normal[..., 1:2]
        lit = self.ambient * (0.85 + 0.15 * up)
        lit = lit + self.sun_color * np.maximum(normal @ self.sun, 0)[..., None]
        mirrored = np.asarray(gloss)[..., None] * np.clip(0.35 + 0.65 * up, 0, 1)
        return self.hazy(color * lit * (1 - mirrored) + self.sky_low * mirrored, distance)

    def even(self, color: Floats, distance: float | Floats) -> Floats:
        """Colors (..., 3) of small things, lit the same from wherever they are seen."""
        return self.hazy(color * (self.ambient + 0.45 * self.sun_color), distance)

    def hazy(self, color: Floats, distance: float | Floats) -> Floats:
        """Colors (..., 3) seen through ``distance`` metres of haze."""
        left = np.exp(-np.asarray(distance) / self.haze)[..., None]
        return np.asarray(color * left + self.sky_low * (1 - left))


# share of scenes; sun, ambient, sky overhead and at the horizon, haze, clouds, shadow
_WEATHER = {
    "clear": (0.32, (0.62, 0.58, 0.5), (0.56, 0.59, 0.64), (84, 140, 206), (200, 218, 232),
              260, 0.2, 0.5),
    "cloudy": (0.26, (0.5, 0.47, 0.42), (0.61, 0.63, 0.66), (112, 154, 200), (208, 217, 226),
               220, 0.6, 0.42),
    "overcast": (0.2, (0.12, 0.12, 0.12), (0.8, 0.82, 0.84), (176, 184, 194), (214, 218, 222),
                 170, 0.5, 0.3),
    "evening": (0.14, (0.7, 0.5, 0.3), (0.58, 0.55, 0.58), (96, 122, 176), (246, 206, 158),
                190, 0.5, 0.4),
    "mist": (0.08, (0.08, 0.08, 0.08), (0.84, 0.85, 0.86), (196, 202, 206), (216, 219, 220),
             66, 0.1, 0.24),
}  # fmt: skip


def random_light(rng: np.random.Generator) -> Light:
    """Clear, cloudy, overcast, evening or misty, the sun anywhere it can stand."""
    kind = str(rng.choice(list(_WEATHER), p=[w[0] for w in _WEATHER.values()]))
    _, sun_color, ambient, top, low, haze, clouds, shadow = _WEATHER[kind]
    high = rng.uniform(*((0.22, 0.35) if kind == "evening" else (0.5, 0.95)))
    angle = rng.uniform(-np.pi, np.pi)
    flat = np.sqrt(1 - high**2)
    sun = np.array([np.cos(angle) * flat, high, np.sin(angle) * flat])
    bright = rng.uniform(0.94, 1.1)
    return Light(
        sun, rgb(*sun_color) * bright, rgb(*ambient) * bright, rgb(*top), rgb(*low),
        haze * rng.uniform(0.8, 1.2), clouds * rng.uniform(0.5, 1.4), shadow,
        dusk=bool(kind in ("evening", "mist") and rng.random() < 0.7),
    )  # fmt: skip


def noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, ...]
) -> NDArray[np.float32]:
    """Smooth random field in about -1..1: one layer a number of cells, each half as strong."""
    total = np.zeros(shape, dtype=np.float32)
    for k, count in enumerate(cells):
        rows = max(2, round(count * shape[0] / shape[1]))
        layer = Image.fromarray(rng.standard_normal((rows, count), dtype=np.float32))
        total += np.asarray(layer.resize(shape[::-1], Image.Resampling.BICUBIC)) * 0.5**k
    return total


def paint_sky(camera: Camera, light: Light, rng: np.random.Generator) -> Image.Image:
    """A picture of the camera's size: sky with clouds, the haze at the horizon below it."""
    height, width = max(camera.height // 8, 8), max(camera.width // 8, 8)
    rows = (np.arange(height) + 0.5) * (camera.height / height) / max(camera.horizon, 1)
    share = np.clip(rows, 0, 1)[:, None, None] ** 1.3
    sky = light.sky_top * (1 - share) + light.sky_low * share
    field = noise(rng, (height, width), (5, 11, 23, 47))
    cover = np.clip((field + light.clouds * 1.6 - 0.7) * 0.9, 0, 1)[..., None] * 0.85
    cover = cover * (1 - 0.5 * share)
    lit = (light.ambient + light.sun_color).clip(0, 1)
    # the underside of a cloud is in its own shade
    white = (light.sky_low * 0.35 + 165 * lit) * (1 - 0.12 * np.roll(cover, 2, axis=0))
    sky = sky * (1 - cover) + np.minimum(white, 250) * cover
    image = Image.fromarray(sky.clip(0, 255).astype(np.uint8))
    return image.resize((camera.width, camera.height), Image.Resampling.BILINEAR)
