"""Camera and canvas of the generated street scenes: flat polygons in perspective.

World coordinates are metres: x to the right, y up from the road, z ahead along the street. The
camera stands at z = 0. Everything is a mesh of colored polygons, drawn once into the picture and,
where it is solid, once into the map of ids, so that both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

NEAR = 0.5
"""Metres in front of the camera nearer than which nothing is drawn."""


@dataclass(frozen=True)
class Mesh:
    """N polygons, in the order they are drawn, with P corners in all.

    Attributes:
        points: (P, 3) corners, polygon after polygon, in metres.
        counts: (N,) number of corners of each polygon.
        colors: (N, 3) RGB in 0..255, shaded.
        solid: (N,) whether it belongs to the silhouette; details inside of it need not.
    """

    points: Floats
    counts: np.ndarray
    colors: Floats
    solid: Flags

    @staticmethod
    def of(polygons: Sequence[tuple[Floats, Floats, bool]]) -> Mesh:
        """From (points, color, solid) of each polygon."""
        points, colors, solid = zip(*polygons, strict=True)
        counts = np.array([len(p) for p in points])
        return Mesh(np.concatenate(points), counts, np.stack(colors), np.array(solid))

    @staticmethod
    def equal(points: Floats, colors: Floats, solid: bool = True) -> Mesh:
        """From (N, corners, 3) polygons of one kind and their colors, (N, 3) or (3,)."""
        count, corners = points.shape[:2]
        every = np.broadcast_to(colors, (count, 3))
        flags = np.full(count, solid)
        return Mesh(points.reshape(-1, 3), np.full(count, corners), every, flags)

    @staticmethod
    def join(meshes: Sequence[Mesh]) -> Mesh:
        """One mesh after the other."""
        return Mesh(
            np.concatenate([m.points for m in meshes]),
            np.concatenate([m.counts for m in meshes]),
            np.concatenate([m.colors for m in meshes]),
            np.concatenate([m.solid for m in meshes]),
        )


@dataclass(frozen=True)
class FlatMesh:
    """A mesh as the camera sees it: pixels instead of metres, colors that Pillow takes."""

    polygons: list[Floats]
    """Of each polygon (corners, 2) x and y."""
    colors: list[tuple[int, int, int]]
    solid: list[bool]


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
        column = self.width / 2 + self.focal * (across * cos - ahead * sin) / depth
        row = self.horizon + self.focal * (self.up - points[:, 1]) / depth
        return np.stack([column, row], axis=1)

    def flatten(self, mesh: Mesh) -> FlatMesh:
        """Project all polygons of a mesh."""
        points = self.project(mesh.points)
        colors = np.clip(mesh.colors, 0, 255).astype(int)
        ends = np.cumsum(mesh.counts).tolist()
        polygons = [points[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        return FlatMesh(polygons, list(map(tuple, colors.tolist())), mesh.solid.tolist())

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


@dataclass
class Canvas:
    """The picture and its map of ids, both at the camera's size."""

    camera: Camera
    image: Image.Image
    ids: Image.Image = field(init=False)

    def __post_init__(self) -> None:
        self.restore(self.image, Image.new("I", self.image.size, 0))

    def restore(self, image: Image.Image, ids: Image.Image) -> None:
        """Go on from copies of an earlier picture and ids."""
        self.image, self.ids = image.copy(), ids.copy()

    def draw(self, mesh: Mesh, code: int) -> None:
        """Draw polygons in their order; the solid ones leave ``code`` in the ids."""
        self.draw_flat(self.camera.flatten(mesh), code)

    def draw_flat(self, flat: FlatMesh, code: int) -> None:
        """Draw polygons that are projected already."""
        paint, mark = ImageDraw.Draw(self.image), ImageDraw.Draw(self.ids)
        for points, color, solid in zip(flat.polygons, flat.colors, flat.solid, strict=True):
            corners = points.ravel().tolist()
            paint.polygon(corners, fill=color)
            if solid:
                mark.polygon(corners, fill=code)


def rgb(*values: float) -> Floats:
    """A color, (3,) in 0..255."""
    return np.array(values, dtype=np.float64)


def panel(quad: Floats, u0: Any, u1: Any, v0: Any, v1: Any) -> Floats:
    """The part of a quadrilateral (4, 3) between two values of u and two of v, numbers or (N,).

    u runs from corner 0 to 1, v from corner 0 to 3, both in 0..1.

    Returns:
        (4, 3), or (N, 4, 3).
    """
    u = np.empty((*np.broadcast_shapes(*map(np.shape, (u0, u1, v0, v1))), 4))
    v = np.empty_like(u)
    u[..., 0], u[..., 1], u[..., 2], u[..., 3] = u0, u1, u1, u0
    v[..., 0], v[..., 1], v[..., 2], v[..., 3] = v0, v0, v1, v1
    u, v = u[..., None], v[..., None]
    low, high = quad[0] + u * (quad[1] - quad[0]), quad[3] + u * (quad[2] - quad[3])
    return np.asarray(low + v * (high - low))


def circle(count: int) -> Floats:
    """(count, 2) points of the unit circle."""
    angle = np.arange(count) * (2 * np.pi / count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
