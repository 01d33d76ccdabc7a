"""The parser of a command line: what jsonargparse refuses, in a person's words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn, get_type_hints

from jsonargparse import ActionYesNo, ArgumentParser

from spatialembed.cli.recipe import find_recipe
from spatialembed.errors import UserError
from spatialembed.files.described import did_you_mean, said, spelled


class Parser(ArgumentParser):
    """Raises one sentence where jsonargparse tells of its types.

    Args:
        command: what has the options; its type hints say what they may be.
        rest: as jsonargparse takes it.

    Attributes:
        lists: options read so far that take every word after them.
    """

    def __init__(self, command: Callable[..., Any] | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        self._hints = get_type_hints(command) if command else {}
        self._read: tuple[argparse.Action, list[str]] = argparse.Action([], ""), []
        self.lists: list[str] = []

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # Kept for `error`: what is thrown holds option and value as parts of a text alone.
        self._read = action, arg_strings
        if action.nargs == "+" and action.option_strings:
            self.lists.append(f"--{action.dest}")
        if action.dest == "config":
            return str(find_recipe(arg_strings[0]))
        hint = self._hints.get(action.dest)
        return super()._get_values(action, [spelled(hint, word) for word in arg_strings])

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
            names = [name.rpartition(".")[2] for name in lacking.split(", ")]  # predict.model
            missing = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
            if self.lists:
                return f"{missing}; {_before(self.lists[-1])}"
            return f"{missing}; --help shows what is needed"
        if alone := re.match(r"argument (--\w+): expected ", message):
            return f"{alone[1]} needs a value after it"
        action, words = self._read
        name, given = action.dest, " ".join(words)
        if name not in message:
            return message
        if action.choices:
            there = f"there are {', '.join(map(repr, action.choices))}"
            close = did_you_mean(words[0], action.choices, "{}")
            return f"there is no command {words[0]}; {close or there}"
        if isinstance(action, ActionYesNo):
            return f"--{name} is on by its name alone, or true or false, not {given!r}"
        if "NestedArg" in message:  # --seed.x, as jsonargparse lets one write parts of a mapping
            return self._no_place(next(word for word in self.args if word.startswith(f"--{name}.")))
        if name in self._hints:
            wrong = f"{name} must be {said(self._hints[name])}, not {given}"
            return f"{wrong}; {_before(self.lists[-1])}" if f"--{name}" in self.lists else wrong
        return message

    def _no_place(self, unknown: str) -> str:
        option = re.match(r"--\w[\w.]*", unknown)
        if not option:
            return f"there is no place for {unknown}; --help names what is taken"
        known = (name.lstrip("-") for name in self._option_string_actions)
        close = did_you_mean(option[0][2:], known, "--{}")
        return f"there is no option {option[0]}; {close or '--help names those there are'}"


def _before(option: str) -> str:
    return f"{option} takes all words up to the next option, so give the others before it"
