"""The command line: from its words to a command of commands.py; what is wrong in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError

from spatialembed import __version__
from spatialembed.commands import COMMANDS, run_train
from spatialembed.console import errors, others_silent, say_when_compiling
from spatialembed.errors import UserError
from spatialembed.options import (
    build_parser,
    options_of,
    refuse,
    resolve_recipes,
    train_config,
    underscored,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``spatialembed`` with the given arguments; what is wrong is said in one sentence.

    Returns:
        0 when all went well, else 1; 130 when interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with others_silent():
            return _run(given)
    except UserError as error:
        errors.print(f"spatialembed: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        errors.print(
            f"spatialembed: {where}{error.strerror or error}; check the path, its permissions "
            "and the space on its disk",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return 1
    except MemoryError:
        errors.print("spatialembed: there is not enough memory for this; give less at a time")
        return 1
    except KeyboardInterrupt:
        told = "spatialembed: interrupted"
        if given[:1] == ["predict"]:
            anew = any(word.startswith("--overwrite") for word in given)
            told += "; the same command " + ("without --overwrite " if anew else "") + "goes on"
        errors.print(told)
        return 130


def _run(given: list[str]) -> int:
    parser = build_parser(COMMANDS, __version__)
    arguments = resolve_recipes(underscored(given))
    try:
        parsed = parser.instantiate(parser.parse_args(arguments or ["--help"]))
    except ArgumentError as error:
        command = COMMANDS.get(arguments[0])
        refuse(error, arguments, options_of(command) if command else ())
    options = parsed[parsed.command]
    if parsed.command in ("demo", "train", "evaluate", "predict"):
        say_when_compiling()
    if parsed.command == "train":
        return run_train(train_config(options))
    return COMMANDS[parsed.command](**vars(options))
