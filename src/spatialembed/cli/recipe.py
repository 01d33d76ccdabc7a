"""A recipe's text: read within limits, and checked key by key before anything is made of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.errors import UserError
from spatialembed.files.described import UnknownName, did_you_mean, filled, is_shallow, shown
from spatialembed.files.packaged import packaged
from spatialembed.training.config import TrainConfig
from spatialembed.training.stage_config import StageConfig

LARGEST, MOST_NODES = 200_000, 20_000
"""Bytes of a recipe, and its values with those that its aliases repeat, at most."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
"""Numbers that YAML 1.1 takes for text, such as 1e-3; everyone means the number."""

_PLACES = {
    "at the recipe's top": TrainConfig,
    "in a stage": StageConfig,
    "in a stage's augmentation": Augmentation,
}


def find_recipe(name: str) -> Path:
    """The file of a recipe given by path or by packaged name.

    Raises:
        UserError: there is none; names those there are.
    """
    path = Path(name)
    if path.is_file():
        require_recipe(path)
        return path
    known = {recipe.stem: recipe for recipe in recipes()}
    if name not in known:
        raise UserError(
            f"there is no recipe {name}; give a file or one of {', '.join(sorted(known))}"
        )
    return known[name]


def recipes() -> list[Path]:
    """The recipes that come with the package; of a checkout, those of its ``recipes`` folder."""
    return packaged("recipes", ".yaml")


def require_recipe(path: Path) -> None:
    """Refuse a file that is no recipe.

    Raises:
        UserError: it cannot be read, is no text, too large, no mapping, or has an unknown key or
            a value of a wrong type or out of its range; names the file and the key.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UserError(
            f"{path} is larger than {LARGEST // 1000} kB, which no recipe is; see its name"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8; save the recipe as such") from error
    values = read_yaml(text, str(path))
    if not isinstance(values, dict):
        raise UserError(f"{path} is no recipe: it must have lines such as 'network: residual_unet'")
    # jsonargparse reads the file again, to put options over it, but of a wrong value names no file.
    _require(values, str(path))


def require_stages(text: str, option: str) -> None:
    """Refuse the value of an option that is written as in a recipe.

    Raises:
        UserError: as :func:`require_recipe` does.
    """
    _require({option: read_yaml(text, f"--{option}")}, "the command")


def _require(values: dict[Any, Any], where: str) -> None:
    try:
        filled(TrainConfig, values, where)
    except UnknownName as error:
        raise UserError(f"{where} has an unknown key {error.name!r}; {_hint(error)}") from error


def _hint(unknown: UnknownName) -> str:
    for place, kind in _PLACES.items():
        if unknown.name in {field.name for field in fields(kind)}:
            return f"it belongs {place}"
    return did_you_mean(unknown.name, unknown.known) or "see spatialembed train --help"


def read_yaml(text: str, where: str) -> Any:
    """The values of a YAML text that is no larger than it looks.

    Raises:
        UserError: it is none, nested too deep, or repeats itself by aliases without bounds.
    """
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        for count, value in enumerate(_nodes(node)):
            if count == MOST_NODES:
                raise UserError(
                    f"{where} has more than {count} values, or repeats itself endlessly"
                )
            if twice := _given_twice(value):
                raise UserError(f"{where} has the key {shown(twice)} twice; leave one out")
        values = _numbers(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        place = getattr(error, "problem_mark", None)
        line = f" in line {place.line + 1}" if place else ""
        raise UserError(f"{where} is no YAML: {_said(error)}{line}") from error
    if not is_shallow(values):
        raise UserError(f"{where} is nested too deep for a recipe")
    return values


def _said(error: Exception) -> str:
    told = getattr(error, "problem", None) or str(error) or type(error).__name__
    return " ".join(str(told).split())[:200]


def _given_twice(node: yaml.Node) -> str | None:
    """A key that a mapping has twice, of which YAML would take the last without a word."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    keys = Counter(key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode))
    return next((key for key, count in keys.items() if count > 1), None)


def _nodes(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every value, each alias anew: without end where one holds itself."""
    waiting = [] if node is None else [node]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]


def _numbers(value: Any) -> Any:
    """Values with text that everyone takes for a number made one."""
    if isinstance(value, dict):
        return {name: _numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
