"""The models that come with the package: their files, and what a person chooses among them by."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from spatialembed.files.packaged import packaged
from spatialembed.models.checkpoint import read_spec
from spatialembed.models.spec import ModelSpec

COLORS = 3
"""Channels of a model for images in color."""


class Shipped(NamedTuple):
    """A model of the package, its weights unread."""

    name: str
    finds: str
    """What it is for: the first heading of its card, after the name."""
    spec: ModelSpec
    megabytes: float

    @property
    def line(self) -> str:
        """All that one chooses by, in a line."""
        channels = self.spec.in_channels
        kind = {1: "grey images", COLORS: "images in color"}.get(channels, "images")
        takes = f"{kind} of {channels} channel{'s' * (channels > 1)}"
        takes = "images in color and grey" if self.spec.takes_grey else takes
        size = self.spec.pixel_size
        at = "" if size is None else f" at {size:.3g} µm a pixel"
        told = (takes, f"trained on {self.spec.trained_on}{at}", f"{self.megabytes:.1f} MB")
        return f"{self.name}: {'; '.join((self.finds, *told, self.spec.licence))}"


def shipped_models() -> dict[str, Path]:
    """Files of the models that come with the package, by name."""
    return {path.stem: path for path in packaged("shipped", ".safetensors")}


def in_8_bits(name: str) -> Path | None:
    """The exported file in int8 of the shipped model of that name, if it has one."""
    file = shipped_models().get(name)
    small = file and file.with_suffix(".onnx")
    return small if small and small.is_file() else None


def shipped() -> list[Shipped]:
    """What the models of the package say of themselves, by name.

    Raises:
        UserError: one of them is damaged.
    """
    return [_shipped(name, path) for name, path in sorted(shipped_models().items())]


def _shipped(name: str, path: Path) -> Shipped:
    spec, card = read_spec(path), path.with_suffix(".md")
    heading = card.read_text(encoding="utf-8").partition("\n")[0] if card.is_file() else ""
    finds = heading.lstrip("# ").removeprefix(f"{name}:").strip() or ", ".join(spec.class_names)
    return Shipped(name, finds, spec, path.stat().st_size / 1e6)


def for_color(*ways: str) -> str:
    """What to do with images in color that a model for grey ones was given: take another, or go
    one of some ways.
    """
    names = [model.name for model in shipped() if model.spec.in_channels == COLORS]
    if names:
        ways = (f"take a model for color ({', '.join(names)})", *ways)
    else:
        ways = (*ways, "train a model on such images")
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"
