"""The command line's grammar: typed functions become commands, a recipe becomes a TrainConfig."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from jsonargparse import ActionYesNo, ArgumentParser, Namespace

from spatialembed.cli.parser import Parser
from spatialembed.cli.recipe import require_stages
from spatialembed.errors import UserError
from spatialembed.training.config import TrainConfig

_BEFORE = ("-h", "--help", "--version")
"""Options of no command."""

FLAGS = {
    "resume": "go on with the run in the run folder",
    "overwrite": "predict again where results exist",
    "invert": "exchange dark and bright before the network sees an image",
    "symmetries": "average over the symmetries of training: better, up to 8 times slower",
    "pretrained": "start the encoder with ImageNet weights (extra pretrained)",
    "deterministic": "on one GPU, the same weights to the last bit from the same steps; slower",
    "stitch": "files are stacks in z (TIFF, OME-Zarr): objects of planes, joined by overlap",
    "tensorboard": "also write TensorBoard's event files (extra log)",
    "overlay": "write a picture of every image with its instances",
    "divisions": "an object may become two (--divisions no: it may not)",
    "browser": "open the page in the browser",
    "volumes": "the same of volumes: stacks of touching nuclei, instead of scenes",
}
"""Options that are on by their name alone."""

_TRUTH = ("true", "yes", "false", "no")
"""Words that may follow such an option, whatever their case; others are no part of it."""

_SPECIAL = {
    "also": None,
    "classes": None,
    "deterministic": False,
    "pretrained": False,
    "resume": False,
    "spacing": None,
    "tensorboard": False,
}
"""Options of ``train`` that no type hint can say, and their defaults."""

_LISTS = {
    "also": "folders of further sets, such as of other kinds of image, to train on with the first",
    "channel": "channels to take of an image, in the model's order, from 0",
    "classes": "classes to take, in this order",
    "images": "files, folders or patterns",
    "format": "further results: cityscapes, coco, geojson (QuPath), imagej (ROIs), measurements, "
    "meshes (OBJ, of volumes)",
    "spacing": "micrometres between the voxels of volumes along z, y and x; else what files say",
}


def build_parser(
    commands: Mapping[str, Callable[..., Any]], version: str, words: Sequence[str]
) -> Parser:
    """The parser of ``spatialembed``: a subcommand a function, and ``train``.

    A function's required parameters are positional, its docstring is the help. ``train`` takes
    the fields of :class:`TrainConfig`, from a recipe, from options, or options over a recipe.
    The others than that of ``words``, which are to be parsed, are there by their names alone, since
    to read all signatures would be part of every command's start.

    Raises:
        UserError: ``words`` have an option before the command.
    """
    _require_command_first(words, commands)
    asked = next((word for word in words if not word.startswith("-")), None)
    parser = Parser(
        prog="spatialembed",
        description="Train, evaluate and run instance segmentation by spatial embeddings.",
        version=version,
    )
    subcommands = parser.add_subcommands(required=True, dest="command")
    for name, command in commands.items():
        summary = (command.__doc__ or "").partition("\n")[0]
        own = Parser()
        if name == asked:
            own = train_parser() if name == "train" else _function_parser(command)
            own.lists = parser.lists  # what is missing at the end is said by the outer one
        subcommands.add_subcommand(name, own, help=summary)
    return parser


def _require_command_first(words: Sequence[str], commands: Iterable[str]) -> None:
    """Refuse the option of a command before it, whose value would be taken for a command."""
    option = words[0].partition("=")[0]
    if option in _BEFORE or not option.startswith("-") or all(w.startswith("-") for w in words):
        return
    command = next((word for word in words if word in commands), "COMMAND")
    raise UserError(
        f"options come after the command, and {option} stands before it: "
        f"spatialembed {command} … {option}"
    )


def train_parser() -> Parser:
    """The parser of ``train``, which reads recipes too."""
    parser = Parser(TrainConfig)
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("--config", action="config", help="a recipe: its file, or a packaged name")
    parser.add_class_arguments(TrainConfig, skip={"data", *_SPECIAL})
    _add_special(parser, _SPECIAL)
    return parser


def read_recipe(recipe: str | Path, data: str | Path, *options: str) -> TrainConfig:
    """A recipe, by its file or its packaged name, with the data it is for and further options.

    Raises:
        UserError: there is no such recipe, or it has an unknown key or a value of a wrong type.
    """
    parser = train_parser()
    arguments = prepared([str(data), "--config", str(recipe), *options])
    return train_config(parser.instantiate(parser.parse_args(arguments)))


def train_config(given: Namespace) -> TrainConfig:
    """The :class:`TrainConfig` of parsed and instantiated options."""
    names = {field.name for field in fields(TrainConfig)}
    return TrainConfig(**{name: value for name, value in vars(given).items() if name in names})


def prepared(arguments: Sequence[str]) -> list[str]:
    """Arguments as the parser takes them, with ``--min-size``, as people type too, underscored.

    Of a flag the word after it, unless it says yes or no, is not taken for its value.

    Raises:
        UserError: one is empty, as an unset variable of a shell leaves it, which a path would take
            for "."; or an option that is written as in a recipe is not as a recipe may have it.
    """
    pairs = (argument.partition("=") for argument in arguments)
    words = [
        "".join(["--" + name[2:].replace("-", "_") if name.startswith("--") else name, *value])
        for name, *value in pairs
    ]
    for before, word in pairwise(["spatialembed", *words]):
        name = word.partition("=")[0] if word.startswith("--") else before
        if not word or word == f"{name}=":
            raise UserError(f"nothing is given after {name}; is a variable of the shell unset?")
    # Before jsonargparse, which follows aliases without end and does not name the place in a stage.
    for name, text in pairwise(chain(*(word.split("=", 1) for word in words))):
        if name in ("--stages", "--network_options"):
            require_stages(text, name[2:])
    alone = {f"--{no}{name}" for name in FLAGS for no in ("", "no_")}
    for place, (word, after) in enumerate(pairwise(words)):
        if word in alone and after.lower() not in _TRUTH:
            words[place] = f"{word}=true"
    return words


def _function_parser(command: Callable[..., Any]) -> Parser:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(command).parameters.items()
        if name in FLAGS or name in _LISTS
    }
    parser = Parser(command)
    parser.add_function_arguments(command, as_positional=True, skip=set(defaults))
    _add_special(parser, defaults)
    return parser


def _add_special(parser: ArgumentParser, defaults: dict[str, Any]) -> None:
    """Add the flags and the lists, which no type hint can say."""
    for name, default in defaults.items():
        flag: dict[str, Any] = {"action": ActionYesNo, "nargs": "?", "help": FLAGS.get(name)}
        of = {"also": Path, "channel": int, "spacing": float}.get(name, str)
        some: dict[str, Any] = {"type": of, "nargs": "+", "help": _LISTS.get(name)}
        kind = flag if name in FLAGS else some
        if default is inspect.Parameter.empty:
            parser.add_argument(name, **kind)
        else:
            parser.add_argument(f"--{name}", default=default, **kind)
