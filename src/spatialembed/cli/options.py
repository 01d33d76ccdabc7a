"""The command line's grammar: typed functions become commands, a recipe becomes a TrainConfig."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser, Namespace

from spatialembed.cli.recipe import require_recipe, require_stages
from spatialembed.errors import UserError
from spatialembed.files.packaged import packaged
from spatialembed.training.config import TrainConfig

FLAGS = {
    "resume": "go on with the run in the run folder",
    "overwrite": "predict again where results exist",
    "symmetries": "average over the symmetries of training: better, up to 8 times slower",
    "tensorboard": "also write TensorBoard's event files (extra log)",
    "overlay": "write a picture of every image with its instances",
    "browser": "open the page in the browser",
    "official": "demand the layout's official score, or do without",
}
"""Options that are on by their name alone."""

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping of names to values",
}
"""Types in a person's words."""

_TRAINING = ["config", *(field.name for field in fields(TrainConfig) if field.name != "data")]
"""Options of ``train``."""

_LISTS = {
    "classes": "classes to take, in this order",
    "images": "files, folders or patterns",
    "format": "further results: cityscapes, coco, geojson (QuPath), imagej (ROIs), measurements",
}


def build_parser(commands: Mapping[str, Callable[..., Any]], version: str) -> ArgumentParser:
    """The parser of ``spatialembed``: a subcommand a function, and ``train``.

    A function's required parameters are positional, its docstring is the help. ``train`` takes
    the fields of :class:`TrainConfig`, from a recipe, from options, or options over a recipe.
    """
    parser = ArgumentParser(
        prog="spatialembed",
        description="Train, evaluate and run instance segmentation by spatial embeddings.",
        version=version,
        exit_on_error=False,
    )
    subcommands = parser.add_subcommands(required=True, dest="command")
    for name, command in commands.items():
        summary = (command.__doc__ or "").partition("\n")[0]
        own = train_parser() if name == "train" else _function_parser(command)
        subcommands.add_subcommand(name, own, help=summary)
    return parser


def train_parser() -> ArgumentParser:
    """The parser of ``train``, which reads recipes too."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("--config", action="config", help="a recipe: its file, or a packaged name")
    parser.add_class_arguments(TrainConfig, skip={"data", "classes", "resume", "tensorboard"})
    _add_special(parser, {"classes": None, "resume": False, "tensorboard": False})
    return parser


def read_recipe(recipe: str | Path, data: str | Path, *options: str) -> TrainConfig:
    """A recipe, by its file or its packaged name, with the data it is for and further options.

    Raises:
        UserError: there is no such recipe, or it has an unknown key or a value of a wrong type.
    """
    arguments = resolve_recipes([str(data), "--config", str(recipe), *options])
    parser = train_parser()
    try:
        return train_config(parser.instantiate(parser.parse_args(arguments)))
    except ArgumentError as error:
        refuse(error, arguments, _TRAINING)


def train_config(given: Namespace) -> TrainConfig:
    """The :class:`TrainConfig` of parsed and instantiated options."""
    names = {field.name for field in fields(TrainConfig)}
    return TrainConfig(**{name: value for name, value in vars(given).items() if name in names})


def underscored(arguments: Sequence[str]) -> list[str]:
    """Arguments with ``--min-size`` written ``--min_size``: people type either."""
    pairs = (argument.partition("=") for argument in arguments)
    return [
        "".join(["--" + name[2:].replace("-", "_") if name.startswith("--") else name, *value])
        for name, *value in pairs
    ]


def require_values(arguments: Sequence[str]) -> None:
    """Refuse what is empty, as an unset variable of a shell leaves it; a path would be ".".

    Raises:
        UserError: names the option, or what stands before.
    """
    for before, argument in pairwise(["spatialembed", *arguments]):
        name = argument.partition("=")[0] if argument.startswith("--") else before
        if not argument or argument == f"{name}=":
            raise UserError(f"nothing is given after {name}; is a variable of the shell unset?")


def resolve_recipes(arguments: Sequence[str]) -> list[str]:
    """Arguments with ``--config nuclei`` replaced by the path of the packaged recipe.

    Raises:
        UserError: there is no such recipe, or what it or an option written alike says cannot be.
    """
    resolved = list(arguments)
    for name, value in pairwise(chain(*(a.split("=", 1) for a in arguments))):
        if name in ("--stages", "--network_options"):
            require_stages(value, name[2:])
    for i, argument in enumerate(resolved):
        if argument.startswith("--config="):
            resolved[i] = f"--config={find_recipe(argument.partition('=')[2])}"
        elif argument == "--config" and i + 1 < len(resolved):
            resolved[i + 1] = str(find_recipe(resolved[i + 1]))
    return resolved


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


def options_of(command: Callable[..., Any]) -> list[str]:
    """Names of a command's options; not of what is given without a name."""
    parameters = inspect.signature(command).parameters
    names = [name for name, own in parameters.items() if own.default is not inspect.Parameter.empty]
    names = names if "config" not in parameters else _TRAINING
    return names + [f"no_{name}" for name in names if name in FLAGS]


def refuse(error: ArgumentError, arguments: Sequence[str], options: Sequence[str]) -> NoReturn:
    """Raise what the parser has to say as one sentence, naming the recipe if there is one.

    Args:
        error: what the parser raised.
        arguments: what it was given.
        options: names of those there are, of which the closest to an unknown one is named.
    """
    text = " ".join(str(error).split()).removeprefix("Parser key ")
    if misspelt := re.search(r"unrecognized arguments: --([\w.]+)", text):
        raise UserError(_unknown_option(misspelt[1], options)) from error
    if said := _argparse_said(text):
        raise UserError(said) from error
    if surplus := re.search(r"unrecognized arguments: (.*)$", text):
        raise UserError(
            f"there is no place for {surplus[1]}; --help names what is taken"
        ) from error
    split = [a.split("=", 1) if a.startswith("--config=") else [a] for a in arguments]
    recipe = next((b for a, b in pairwise(chain(*split)) if a == "--config"), None)
    text = _wrong_value(text) or text
    raise UserError(f"{text} (recipe: {recipe})" if recipe else text) from error


def _argparse_said(text: str) -> str | None:
    """What the parser says of an argument's form, in a person's words."""
    if lacking := re.search(r"argument (--\w+)[^:]*: expected (?:one|at least one) argument", text):
        return f"{lacking[1]} needs a value after it"
    if truth := re.search(r"argument (--\w+)[^:]*: invalid _boolean_type value: (.*)$", text):
        return f"{truth[1]} is on by its name alone, or true or false, not {truth[2]}"
    if command := re.search(
        r"argument command: invalid choice: '(.*?)' \(choose from (.*)\)", text
    ):
        close = get_close_matches(command[1], re.findall(r"\w+", command[2]), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {command[2]}"
        return f"there is no command {command[1]}; {hint}"
    if lacking := re.search(r"(?:arguments are required|[Kk]eys? .*required.*?): (.*)$", text):
        return f"{lacking[1]} is missing; --help shows what is needed"
    return None


def _unknown_option(name: str, options: Sequence[str]) -> str:
    options = [option for option in options if option != name]
    close = get_close_matches(name, options, n=1)
    hint = f"did you mean --{close[0]}?" if close else "--help names those there are"
    return f"there is no option --{name}; {hint}"


def _wrong_value(text: str) -> str | None:
    """What the parser says of a value of a wrong type, in a person's words."""
    said = re.search(r'"([\w.\[\]]+)": .*?(?:Got|Given) value: (.*)$', text)
    if not said:
        return None
    choices = re.search(r"typing\.Literal\[(.*?)\]", text)
    kinds = dict.fromkeys(re.findall(r"Expected an? <class '(\w+)'>", text))
    names = [_KINDS.get(kind, kind) for kind in kinds if kind != "NoneType"]
    wanted = f"one of {choices[1]}" if choices else " or ".join(names)
    return f"{said[1]} must be {wanted}, not {said[2]}" if wanted else None


def _function_parser(command: Callable[..., Any]) -> ArgumentParser:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(command).parameters.items()
        if name in FLAGS or name in _LISTS
    }
    parser = ArgumentParser(exit_on_error=False)
    parser.add_function_arguments(command, as_positional=True, skip=set(defaults))
    _add_special(parser, defaults)
    return parser


def _add_special(parser: ArgumentParser, defaults: dict[str, Any]) -> None:
    """Add the flags and the lists, which no type hint can say."""
    for name, default in defaults.items():
        if name in FLAGS:
            parser.add_argument(
                f"--{name}", action=ActionYesNo, nargs="?", default=default, help=FLAGS[name]
            )
        elif name == "images":
            parser.add_argument(name, nargs="+", type=str, help=_LISTS[name])
        else:
            parser.add_argument(
                f"--{name}", nargs="+", type=str, default=default, help=_LISTS[name]
            )
