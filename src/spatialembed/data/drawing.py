"""Camera, light and canvas of the generated street scenes: flat polygons in perspective.

World coordinates are metres: x to the right, y up from the road, z ahead along the street. The
camera stands at z = 0. Everything is a polygon with a color; an object is a list of them, drawn
once into the picture and, where it is solid, once into the map of ids, so that both agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

NEAR = 0.5
"""Metres in front of the camera nearer than which nothing is drawn."""


class Polygon(NamedTuple):
    """A flat piece of an object in world coordinates."""

    points: Floats
    """(N, 3) corners in metres."""
    color: Floats
    """(3,) RGB in 0..255, shaded."""
    solid: bool = True
    """Whether it belongs to the silhouette; details inside of it need not be drawn as ids."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera on a car: where a point of the world appears in the picture.

    Attributes:
        width, height: size of the picture in pixels.
        focal: focal length in pixels.
        horizon: row of the horizon.
        x, up: position in metres beside the lane's middle and above the road.
        yaw: turn to the right in radians.
    """

    width: int
    height: int
    focal: float
    horizon: float
    x: float
    up: float
    yaw: float

    @property
    def position(self) -> Floats:
        """(3,) where the camera stands, in metres."""
        return np.array([self.x, self.up, 0.0])

    def project(self, points: Floats) -> Floats:
        """(N, 3) metres to (N, 2) pixels x, y; points nearer than NEAR are moved there."""
        across, ahead = points[:, 0] - self.x, points[:, 2]
        sin, cos = np.sin(self.yaw), np.cos(self.yaw)
        depth = np.maximum(across * sin + ahead * cos, NEAR)
        right = across * cos - ahead * sin
        column = self.width / 2 + self.focal * right / depth
        row = self.horizon + self.focal * (self.up - points[:, 1]) / depth
        return np.stack([column, row], axis=1)

    def ground(self, height: int, width: int) -> tuple[Floats, Floats, int]:
        """World x and z of every pixel below the horizon of a picture of the given size.

        Returns:
            x and z, both (height - first, width), and ``first``, the first row below the horizon.
        """
        scale = self.height / height
        first = int(self.horizon / scale) + 2
        rows = (np.arange(first, height) + 0.5) * scale - self.horizon
        columns = ((np.arange(width) + 0.5) * scale - self.width / 2) / self.focal
        depth = (self.focal * self.up / rows)[:, None]
        right = depth * columns[None]
        sin, cos = np.sin(self.yaw), np.cos(self.yaw)
        return right * cos + depth * sin + self.x, depth * cos - right * sin, first


@dataclass(frozen=True)
class Light:
    """The weather and the time of day: how colors look from where the sun stands.

    Attributes:
        sun: (3,) unit vector towards the sun.
        sun_color, ambient: (3,) factors on a surface's color, lit by the sun and in the shade.
        sky_top, sky_low: (3,) RGB of the sky overhead and at the horizon.
        haze: metres after which the sky's color at the horizon has taken 63 % of a color.
        clouds: share of the sky that is covered, in [0, 1].
        shadow: how much of the light a cast shadow takes away, in [0, 1].
        dusk: whether cars have their lamps on.
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

    def shade(self, color: Floats, normal: Floats, distance: float, gloss: float = 0.0) -> Floats:
        """Color of a surface of unit ``normal``, seen through ``distance`` metres of haze.

        ``gloss`` is the share of the sky that a surface facing up mirrors.
        """
        lit = self.ambient * (0.85 + 0.15 * normal[1])
        lit = lit + self.sun_color * max(0.0, float(normal @ self.sun))
        shaded = color * lit
        if gloss:
            mirrored = gloss * min(1.0, max(0.0, 0.35 + 0.65 * float(normal[1])))
            shaded = shaded * (1 - mirrored) + self.sky_low * mirrored
        return self.hazy(shaded, distance)

    def hazy(self, color: Floats, distance: float) -> Floats:
        """``color`` (…, 3) seen through ``distance`` metres of haze."""
        left = float(np.exp(-distance / self.haze))
        return color * left + self.sky_low * (1 - left)


@dataclass
class Canvas:
    """The picture and its map of ids, both at the camera's size."""

    camera: Camera
    image: Image.Image
    ids: Image.Image = field(init=False)

    def __post_init__(self) -> None:
        self.ids = Image.new("I", self.image.size, 0)
        self.restore(self.image, self.ids)

    def restore(self, image: Image.Image, ids: Image.Image) -> None:
        """Go on from copies of an earlier picture and ids."""
        self.image, self.ids = image.copy(), ids.copy()
        self._paint = ImageDraw.Draw(self.image)
        self._mark = ImageDraw.Draw(self.ids)

    def draw(self, polygons: list[Polygon], code: int) -> None:
        """Draw world polygons in their order; the solid ones leave ``code`` in the ids."""
        self.draw_flat(flatten(self.camera, polygons), code)

    def draw_flat(self, flat: list[FlatPolygon], code: int) -> None:
        """Draw polygons that are projected already."""
        for points, color, solid in flat:
            self._paint.polygon(points, fill=color)
            if solid:
                self._mark.polygon(points, fill=code)


class FlatPolygon(NamedTuple):
    """A polygon in pixels, as Pillow takes it."""

    points: list[float]
    color: tuple[int, int, int]
    solid: bool


def flatten(camera: Camera, polygons: list[Polygon]) -> list[FlatPolygon]:
    """Project many polygons at once."""
    if not polygons:
        return []
    points = camera.project(np.concatenate([p.points for p in polygons]))
    colors = np.clip(np.stack([p.color for p in polygons]), 0, 255).astype(int).tolist()
    ends = np.cumsum([len(p.points) for p in polygons])
    flat = np.split(points, ends[:-1])
    return [
        FlatPolygon(xy.ravel().tolist(), tuple(color), p.solid)
        for xy, color, p in zip(flat, colors, polygons, strict=True)
    ]


def rgb(*values: float) -> Floats:
    """A color, (3,) in 0..255."""
    return np.array(values, dtype=np.float64)


def unit(vector: Floats) -> Floats:
    """A vector of length 1 in the same direction."""
    return vector / max(float(np.sqrt(vector @ vector)), 1e-9)


def quad_normal(quad: Floats) -> Floats:
    """Unit normal of a quadrilateral (4, 3) from its diagonals; its sign follows the winding."""
    a, b = quad[2] - quad[0], quad[3] - quad[1]
    cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    return unit(np.array(cross))


def on_quad(quad: Floats, uv: list[tuple[float, float]]) -> Floats:
    """Points of a quadrilateral (4, 3), u from corner 0 to 1, v from corner 0 to 3, in [0, 1]."""
    weights = np.array([[(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v] for u, v in uv])
    return np.asarray(weights @ quad)


def panel(quad: Floats, u0: float, u1: float, v0: float, v1: float) -> Floats:
    """The part of a quadrilateral between two values of u and two of v, (4, 3)."""
    return on_quad(quad, [(u0, v0), (u1, v0), (u1, v1), (u0, v1)])


def circle(count: int) -> Floats:
    """(count, 2) points of the unit circle."""
    angle = np.arange(count) * (2 * np.pi / count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
