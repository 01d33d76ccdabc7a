"""What files say: JSON read within limits, and values put into the dataclass they are to fill.

A type hint is the only place where it stands what a value may be. What does not fit it is refused
in a person's words, before anything is made of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from sys import float_info
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from spatialembed.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Made = TypeVar("Made", bound="DataclassInstance")


class UnknownName(UserError):
    """A name that a mapping may not have.

    Attributes:
        name: as it was given.
        known: those that it may have.
    """

    def __init__(self, where: str, name: Any, known: list[str]) -> None:
        hint = did_you_mean(name, known) or f"it may have {', '.join(known)}"
        super().__init__(f"{where} has an unknown key {shown(name)}; {hint}")
        self.name = shown(name).strip("'")
        self.known = known


LARGEST_TEXT = 4_000_000
"""Bytes of JSON that describe a model or settings, at most; real ones have some thousands."""

DEEPEST = 50
"""Times that lists and mappings of JSON may be nested."""
MAPPING = "a mapping of names to values"

KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
    NoneType: "nothing",
}
"""Types in a person's words."""


def read_json(path: Path, remedy: str, largest: int | None = LARGEST_TEXT) -> Any:
    """The content of a JSON file in any encoding of Unicode, with a byte order mark or without.

    Args:
        path: the file.
        remedy: what to do where it cannot be read; ends the sentence.
        largest: bytes that it may have; None for data, of any size and depth.

    Raises:
        UserError: it cannot be opened, is too large, or is no JSON.
    """
    try:
        with path.open("rb") as file:
            # bytes, not text: of these json.loads finds the encoding
            content = file.read(-1 if largest is None else largest + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    if largest is None:
        return _loaded(content, f"{path} cannot be read as json", remedy)
    if len(content) > largest:
        raise UserError(f"{path} is larger than {largest / 1e6:.0f} MB, unlike any such; {remedy}")
    return _shallow(_loaded(content, f"{path} is not a JSON file", remedy), str(path), remedy)


def parse_json(text: str | bytes, where: str, remedy: str) -> Any:
    """Values of a JSON text.

    Raises:
        UserError: it is none, or is nested deeper than any description; the sentence begins with
            ``where`` and ends with ``remedy``.
    """
    return _shallow(_loaded(text, f"{where} is not JSON", remedy), where, remedy)


def _loaded(text: str | bytes, wrong: str, remedy: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{wrong} ({str(error)[:100]}); {remedy}") from error


def _shallow(content: Any, where: str, remedy: str) -> Any:
    if not is_shallow(content):
        raise UserError(f"{where} is nested too deep; {remedy}")
    return content


def is_shallow(content: Any) -> bool:
    """Whether lists and mappings of JSON are nested at most :data:`DEEPEST` times."""
    level = [content]
    for _ in range(DEEPEST):
        lists = [list(v.values()) if isinstance(v, dict) else v for v in level]
        level = [inner for v in lists if isinstance(v, list) for inner in v]
    return not level


def filled(kind: type[Made], values: Any, where: str) -> Made:
    """A dataclass with values from a file; missing ones take their defaults.

    Lists become tuples, text becomes paths and mappings become dataclasses where hints say so.

    Args:
        kind: the dataclass; its hints are of numbers, text, truth values, paths, literals, lists,
            tuples, mappings, unions and other dataclasses.
        values: as JSON has them.
        where: what has these values; begins each sentence.

    Raises:
        UserError: no mapping, an unknown or a missing name, a value that does not fit its hint, or
            what the dataclass itself refuses.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where} must be {MAPPING}, not {shown(values)}")
    hints = {field.name: field for field in fields(kind)}
    for name in values:
        if name not in hints:
            raise UnknownName(where, name, list(hints))
    for name, field in hints.items():
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and name not in values:
            raise UserError(f"{where} must name its {name}")
    types = get_type_hints(kind)
    made = {name: fitting(types[name], value, name, where) for name, value in values.items()}
    try:
        return kind(**made)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{where} holds a value that cannot be ({error})") from error


def fit_fields(made: DataclassInstance) -> None:
    """Give the fields of a frozen dataclass what their hints say, as :func:`filled` does.

    For ``__post_init__`` of what Python code makes, too: text for a path stays no text.

    Raises:
        UserError: a value that does not fit its hint.
    """
    kind = type(made)
    for name, hint in get_type_hints(kind).items():
        value = in_python(getattr(made, name))
        object.__setattr__(made, name, fitting(hint, value, name, kind.__name__))


def fitting(hint: Any, value: Any, name: str, where: str) -> Any:
    """A value as its type hint has it.

    Raises:
        UserError: it does not fit; the sentence begins with ``where`` and ``name``.
    """
    try:
        return _fitted(hint, value, name, where)
    except _Unfit:
        given = f"not {shown(value)}" if value is not None else "and it is empty"
        raise UserError(f"{where}: {name} must be {said(hint)}, {given}") from None


class _Unfit(Exception):
    """A value is not what its hint says."""


def _fitted(hint: Any, value: Any, name: str, where: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else filled(hint, value, f"{where}: {name}")
    if origin in (Union, UnionType):
        return _one_of(parts, value, name, where)
    if origin in (list, tuple, Sequence):
        return _listed(origin, parts, value, name, where)
    if hint is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if hint is str and isinstance(value, Path):  # where text may name a file
        value = str(value)
    if not _fits(hint, value):
        raise _Unfit
    return Path(value) if hint is Path else value


def in_python(value: Any) -> Any:
    """Numbers, truth values and arrays of NumPy and torch as Python has them, within others too.

    Not of files: a checkpoint's tensors stay what they are.
    """
    if isinstance(value, dict):
        return {key: in_python(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(in_python(inner) for inner in value)
    return value.tolist() if hasattr(value, "tolist") else value


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    if hint is float:  # of whole numbers those that a float can hold
        return isinstance(value, float) or (_is_whole(value) and abs(value) <= float_info.max)
    if hint is int:
        return _is_whole(value) and abs(value) < 2**63
    if hint is Path:
        return isinstance(value, str | Path)
    return hint is Any or type(value) is hint


def _is_whole(value: Any) -> bool:
    return type(value) is int  # to isinstance true and false are numbers


def _one_of(hints: Sequence[Any], value: Any, name: str, where: str) -> Any:
    for hint in hints:
        with suppress(_Unfit):
            return _fitted(hint, value, name, where)
    raise _Unfit


def _listed(kind: Any, parts: Sequence[Any], value: Any, name: str, where: str) -> Any:
    if not isinstance(value, list | tuple):
        raise _Unfit
    fixed = kind is tuple and parts[-1] is not Ellipsis
    hints = list(parts) if fixed else list(parts[:1]) * len(value)
    if len(hints) != len(value):
        raise _Unfit
    pairs = enumerate(zip(hints, value, strict=True))
    made = [_fitted(hint, inner, f"{name}[{i}]", where) for i, (hint, inner) in pairs]
    return made if kind is list else tuple(made)


def said(hint: Any) -> str:
    """A type hint in a person's words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(map(repr, parts))}"
    if origin in (Union, UnionType):
        return " or ".join(said(part) for part in parts if part is not NoneType)
    if origin in (list, tuple, Sequence):
        count = f"{len(parts)} " if origin is tuple and parts[-1] is not Ellipsis else ""
        return f"a list of {count}{_PLURAL.get(parts[0], 'mappings')}"
    return KINDS.get(hint, MAPPING)


_PLURAL: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "names", Path: "paths"}


def shown(value: Any) -> str:
    """A value in a sentence: short, whatever it is."""
    if isinstance(value, dict | list | tuple) and len(value) > 8:
        return f"{len(value)} values"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more digits than Python writes
        return f"a {type(value).__name__} beyond all bounds"
    return text if len(text) <= 80 else f"{text[:77]}..."


def did_you_mean(name: Any, known: Iterable[str], written: str = "'{}'") -> str:
    """A hint at the closest known name, never at the one that was given; empty without one."""
    others = [other for other in known if other != name]
    close = get_close_matches(str(name), others, n=1)
    return f"did you mean {written.format(close[0])}?" if close else ""


def spelled(hint: Any, word: str) -> str:
    """The literal of a type hint that a word is but for case, dashes and spaces; else the word."""
    literals = (part for part in (hint, *get_args(hint)) if get_origin(part) is Literal)
    choices = {_plain(choice): choice for literal in literals for choice in get_args(literal)}
    return str(choices.get(_plain(word), word))


def _plain(word: str) -> str:
    return word.casefold().translate(dict.fromkeys(map(ord, "-_ ")))


def some(count: int, noun: str) -> str:
    """A number of things in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def such(alike: Sized, things: str = "images") -> str:
    """How many there are of what a sentence says of the first; empty where that is alone."""
    return f" ({len(alike)} such {things})" if len(alike) > 1 else ""
