"""VIA 3's projects in the form of VIA 2's: views of files, and regions of views, all by numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHAPES: dict[int, tuple[str, ...]] = {
    2: ("rect", "x", "y", "width", "height"),
    3: ("circle", "cx", "cy", "r"),
    4: ("ellipse", "cx", "cy", "rx", "ry"),
}
_LINES = {1: "point", 5: "line", 6: "polyline"}
_POLYGON, _EXTREME_RECTANGLE = 7, 8


def is_project(content: Any) -> bool:
    """Whether it is a project of VIA 3."""
    return isinstance(content, dict) and {"view", "file", "metadata"} <= content.keys()


def images_of(project: Mapping[str, Any]) -> dict[str, Any]:
    """What VIA 2 has in ``_via_img_metadata``: filename and regions of each image.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is no whole project, or of videos or
            pairs of images; what a ValueError says is a sentence without its subject.
    """
    found: dict[str, Any] = {}
    for number, view in project["view"].items():
        if len(view["fid_list"]) != 1:
            raise ValueError("has views of several files, and images alone are read")
        name = project["file"][view["fid_list"][0]]["fname"]
        found[number] = {"filename": name, "regions": []}
    for row in project["metadata"].values():
        if row.get("z"):
            raise ValueError("has times, as of a video: export its frames as images")
        if row["xy"]:
            facts = _facts(project["attribute"], row["av"])
            region = {"shape_attributes": _shape(*row["xy"]), "region_attributes": facts}
            found[row["vid"]]["regions"].append(region)
    return found


def _facts(attributes: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """The values of a region's attributes by their names; what is chosen comes as numbers."""
    found = {}
    for number, value in values.items():
        options = attributes[number].get("options") or {}
        chosen = (options.get(each, each) for each in str(value).split(","))
        found[attributes[number]["aname"]] = " ".join(chosen) if options else str(value)
    return found


def _shape(kind: int, *numbers: float) -> dict[str, Any]:
    xs, ys = numbers[::2], numbers[1::2]
    if kind in _SHAPES:
        name, *sides = _SHAPES[kind]
        if len(sides) != len(numbers):
            raise ValueError(f"has a {name} of {len(numbers)} numbers: draw it anew")
        return {"name": name, **dict(zip(sides, numbers, strict=True))}
    if kind == _EXTREME_RECTANGLE:  # by points on its sides
        x, y = min(xs), min(ys)
        return {"name": "rect", "x": x, "y": y, "width": max(xs) - x, "height": max(ys) - y}
    if kind == _POLYGON:
        return {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    if kind in _LINES:
        return {"name": _LINES[kind]}
    raise ValueError(f"has a shape of kind {kind}, which is not read: draw it as a polygon")
