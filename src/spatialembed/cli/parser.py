"""The parser of a command line: what jsonargparse refuses, in a person's words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, NoReturn, get_type_hints

from jsonargparse import ActionYesNo, ArgumentParser

from spatialembed.cli.recipe import find_recipe
from spatialembed.errors import UserError
from spatialembed.files.described import said


class Parser(ArgumentParser):
    """Raises one sentence where jsonargparse tells of its types.

    Args:
        command: what has the options; its type hints say what they may be.
        rest: as jsonargparse takes it.
    """

    def __init__(self, command: Callable[..., Any] | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        self._hints = get_type_hints(command) if command else {}
        self._read: tuple[argparse.Action, str] = argparse.Action([], ""), ""

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # What is read is kept for `error`: the errors themselves hold it as a part of their text.
        self._read = action, " ".join(arg_strings)
        if action.dest == "config":
            return str(find_recipe(arg_strings[0]))
        return super()._get_values(action, arg_strings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong.

        Raises:
            UserError: always.
        """
        raise UserError(self._said(" ".join(message.split()))) from ex

    def _said(self, message: str) -> str:
        if unknown := message.partition("unrecognized arguments: ")[2]:
            return self._no_place(unknown)
        if lacking := message.partition("arguments are required: ")[2]:
            return f"{lacking} is missing; --help shows what is needed"
        if alone := re.match(r"argument (--\w+): expected ", message):
            return f"{alone[1]} needs a value after it"
        action, given = self._read
        name = action.dest
        if name not in message:
            return message
        if action.choices:
            hint = _closest(given.split()[0], action.choices)
            there = ", ".join(map(repr, action.choices))
            return f"there is no command {given.split()[0]}; {hint or f'there are {there}'}"
        if isinstance(action, ActionYesNo):
            return f"--{name} is on by its name alone, or true or false, not {given!r}"
        if "NestedArg" in message:  # --seed.x, as jsonargparse lets one write parts of a mapping
            return self._no_place(next(word for word in self.args if word.startswith(f"--{name}.")))
        if name in self._hints:
            return f"{name} must be {said(self._hints[name])}, not {given}"
        return message

    def _no_place(self, unknown: str) -> str:
        option = re.match(r"--(\w[\w.]*)", unknown)
        if not option:
            return f"there is no place for {unknown}; --help names what is taken"
        known = [name.lstrip("-") for name in self._option_string_actions]
        hint = _closest(option[1], known, "--") or "--help names those there are"
        return f"there is no option {option[0]}; {hint}"


def _closest(name: str, known: Iterable[str], dashes: str = "") -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {dashes}{close[0]}?" if close else ""
