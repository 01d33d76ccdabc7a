"""The command line: from its words to a command of commands.py; what is wrong in one sentence."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from spatialembed import __version__
from spatialembed.cli.commands import COMMANDS, run_train
from spatialembed.cli.options import build_parser, prepared, train_config
from spatialembed.console.output import errors, others_silent, warn
from spatialembed.errors import ImageWarning, UserError, kind_of
from spatialembed.errors.interrupts import Terminated, interrupt_in, terminations

SHOWN = 10
"""Warnings of one kind about images that are printed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``spatialembed`` with the given arguments; what is wrong is said in one sentence.

    Returns:
        0 when all went well, else 1; 130 when interrupted, 143 when by SIGTERM.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with terminations(), others_silent():
            return _run(given)
    except BaseException as error:
        if interrupt := interrupt_in(error):
            _say("; ".join(["interrupted", *_how_to_go_on(given, interrupt)]))
            return 143 if isinstance(interrupt, Terminated) else 130
        if isinstance(error, UserError):
            _say(str(error))
        elif isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            _say(
                f"{where}{error.strerror or error}; check the path, its permissions and the space "
                "on its disk"
            )
        else:
            raise
        return 1


def _say(sentence: str) -> None:
    errors.print(f"spatialembed: {sentence}", soft_wrap=True)


def _how_to_go_on(given: list[str], interrupt: KeyboardInterrupt) -> list[str]:
    """What a command that was interrupted is followed by; a run of training knows its own."""
    if given[:1] == ["train"]:
        return getattr(interrupt, "__notes__", [])
    if given[:1] == ["predict"]:
        anew = any(word.startswith("--overwrite") for word in given)
        return ["the same command " + ("without --overwrite " if anew else "") + "goes on"]
    return []


def _run(given: list[str]) -> int:
    words = prepared(given) or ["--help"]
    parser = build_parser(COMMANDS, __version__, words)
    parsed = parser.instantiate(parser.parse_args(words))
    options = parsed[parsed.command]
    _say_warnings()
    if parsed.command in ("demo", "train", "evaluate", "predict"):
        from spatialembed.kernels.compiling import say_when_compiling

        say_when_compiling()
    if parsed.command == "train":
        return run_train(train_config(options))
    return COMMANDS[parsed.command](**vars(options))


def _say_warnings() -> None:
    """Print what is to be known of images as a line, not as Python prints its warnings."""
    others = warnings.showwarning
    said: Counter[str] = Counter()

    def show(message: Warning | str, *rest: Any, **more: Any) -> None:
        if isinstance(message, ImageWarning):
            kind = kind_of(message.note)
            said[kind] += 1
            if said[kind] <= SHOWN:
                warn([message] if said[kind] < SHOWN else [message, "and more images as this one"])
        else:
            others(message, *rest, **more)

    warnings.showwarning = show
