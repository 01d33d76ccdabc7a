"""Camera and canvas of the generated street scenes: flat polygons in perspective.

World coordinates are metres: x to the right, y up from the road, z ahead along the street. The
camera stands at z = 0. Everything is a mesh of colored polygons, drawn once into the picture and,
where it is solid, once into the map of ids, so that both agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

Flat: TypeAlias = list[tuple[Floats, tuple[int, ...], bool]]
"""Polygons as the camera sees them: (corners, 2) x and y in pixels, RGB, whether solid."""

NEAR = 0.5
"""Metres in front of the camera nearer than which nothing is drawn."""


class Mesh(NamedTuple):
    """N polygons, in the order they are drawn, with P corners in all.

    Attributes:
        points: (P, 3) corners, polygon after polygon, in metres; counts: (N,) of each.
        colors: (N, 3) RGB in 0..255, shaded.
        solid: (N,) whether it belongs to the silhouette; details inside of it need not.
    """

    points: Floats
    counts: np.ndarray
    colors: Floats
    solid: Flags

    @staticmethod
    def equal(points: Floats, colors: Floats, solid: bool = True) -> Mesh:
        """From polygons ([N,] corners, 3) of one kind and their colors, (N, 3) or (3,)."""
        corners = points.shape[-2]
        count = points.size // (3 * corners)
        every = np.broadcast_to(colors, (count, 3))
        return Mesh(points.reshape(-1, 3), np.full(count, corners), every, np.full(count, solid))

    @staticmethod
    def join(meshes: Iterable[Mesh]) -> Mesh:
        """One mesh after the other."""
        return Mesh(*map(np.concatenate, zip(*meshes, strict=True)))


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

    def project(self, points: Floats) -> Floats:
        """(N, 3) metres to (N, 2) pixels x, y; points nearer than NEAR are moved there."""
        across, ahead = points[:, 0] - self.x, points[:, 2]
        sin, cos = np.sin(self.yaw), np.cos(self.yaw)
        depth = np.maximum(across * sin + ahead * cos, NEAR)
        column = self.width / 2 + self.focal * (across * cos - ahead * sin) / depth
        row = self.horizon + self.focal * (self.up - points[:, 1]) / depth
        return np.stack([column, row], axis=1)

    def flatten(self, mesh: Mesh) -> Flat:
        """Project all polygons of a mesh."""
        polygons = np.split(self.project(mesh.points), np.cumsum(mesh.counts)[:-1])
        colors = np.clip(mesh.colors, 0, 255).astype(int).tolist()
        return list(zip(polygons, map(tuple, colors), mesh.solid.tolist(), strict=True))

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
        sin, cos = np.sin(self.yaw), np.cos(self.yaw)
        return depth * (columns * cos + sin) + self.x, depth * (cos - columns * sin), first


@dataclass(frozen=True)
class Canvas:
    """The picture and its map of ids, both at the camera's size."""

    camera: Camera
    image: Image.Image
    ids: Image.Image

    def copy(self) -> Canvas:
        """A canvas to draw on that leaves this one as it is."""
        return Canvas(self.camera, self.image.copy(), self.ids.copy())

    def draw(self, mesh: Mesh, code: int) -> None:
        """Draw polygons in their order; the solid ones leave ``code`` in the ids."""
        self.draw_flat(self.camera.flatten(mesh), code)

    def draw_flat(self, flat: Flat, code: int) -> None:
        """Draw polygons that are projected already."""
        paint, mark = ImageDraw.Draw(self.image), ImageDraw.Draw(self.ids)
        for points, color, solid in flat:
            corners = points.ravel().tolist()
            paint.polygon(corners, fill=color)
            if solid:
                mark.polygon(corners, fill=code)


def rgb(*values: float) -> Floats:
    """A color, (3,) in 0..255."""
    return np.array(values, dtype=np.float64)


def xyz(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Floats:
    """Points (..., 3) from coordinates, each a number or (...)."""
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float64)


def square(x: float, z: float, half: float) -> Floats:
    """(4, 3) corners of a square on the ground."""
    return xyz(x + half * np.array([-1, 1, 1, -1]), 0, z + half * np.array([-1, -1, 1, 1]))


def panel(quad: Floats, u0: ArrayLike, u1: ArrayLike, v0: ArrayLike, v1: ArrayLike) -> Floats:
    """The part ([N,] 4, 3) of a quadrilateral (4, 3) between two values of u and two of v.

    Numbers or (N,) in 0..1; u runs from corner 0 to 1, v from corner 0 to 3.
    """
    bounds = np.stack(np.broadcast_arrays(u0, u1, v0, v1), axis=-1)
    u, v = bounds[..., [0, 1, 1, 0], None], bounds[..., [2, 2, 3, 3], None]
    low, high = quad[0] + u * (quad[1] - quad[0]), quad[3] + u * (quad[2] - quad[3])
    return np.asarray(low + v * (high - low))


def circle(count: int) -> Floats:
    """(count, 2) points of the unit circle."""
    angle = np.arange(count) * (2 * np.pi / count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
