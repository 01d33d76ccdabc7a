"""A process that tries commands one after the other for faults.py, and says how each ended."""

import hashlib
import io
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import spatialembed.app.web_page
import spatialembed.demo.pipeline
import spatialembed.export.onnx
import spatialembed.training.loop
from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.data import open_data
from spatialembed.data.data_set import Split
from spatialembed.data.images.reading import read_image
from spatialembed.data.images.zarr_image import open_zarr
from spatialembed.inference.loading import load, load_network
from spatialembed.training.resume import load_checkpoint

MOST_MEMORY = 12 << 30


class Trial(NamedTuple):
    """A command, and a file that it reads whose content can be looked at afterwards."""

    number: int
    kind: str
    way: str
    arguments: list[str]
    folder: Path
    """Its own, with all that it may write."""
    file: Path | None = None


class End(NamedTuple):
    """How a trial ended."""

    number: int
    code: int | str
    """Of the command; or the traceback."""
    said: str
    read: str | None
    """A digest of what was read; None where it was refused."""
    memory: int
    """kB more than before."""


class Reached(BaseException):
    """The command got past all that it checks, to work that takes hours or never ends."""


def work(connection: Connection) -> None:
    """Try what comes through the connection until it is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    _stop_before_work()
    with tempfile.TemporaryFile() as sink, suppress(EOFError):
        for stream in (1, 2):
            os.dup2(sink.fileno(), stream)
        while True:
            connection.send(_tried(connection.recv(), sink))


def _tried(trial: Trial, sink: Any) -> End:
    sink.seek(0)
    sink.truncate()
    os.chdir(trial.folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code: int | str
    try:
        code = main(trial.arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Reached:
        code = 0
    except BaseException:  # a fault of ours, which is looked for
        code = traceback.format_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    sink.seek(0)
    said = sink.read().decode(errors="replace")
    read = None
    if trial.file is not None:
        try:
            read = content_of(trial.kind, trial.file)
        except ValueError:
            read = None
        except BaseException:
            code = traceback.format_exc()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return End(trial.number, code, said, read, grown)


def _stop_before_work() -> None:
    """Training and the page end where their work would begin."""

    def reached(*_: Any, **__: Any) -> None:
        raise Reached

    spatialembed.training.loop.start = reached
    spatialembed.demo.pipeline.make_scenes = reached
    spatialembed.export.onnx._traced = reached
    spatialembed.app.web_page.serve = reached


def content_of(kind: str, path: Path) -> str:
    """A digest of all that is read from a file.

    Raises:
        UserError: it is refused.
    """
    file = io.BytesIO()
    READERS[next(name for name in READERS if kind.startswith(name))](path, file)
    return hashlib.sha256(file.getvalue()).hexdigest()


def _image(path: Path, file: io.BytesIO) -> None:
    _pixels(read_image(path), file)


def _zarr(path: Path, file: io.BytesIO) -> None:
    image = open_zarr(path.parent)
    _pixels(image.read(slice(0, image.shape[0]), slice(0, image.shape[1])), file)


def _pixels(pixels: np.ndarray, file: io.BytesIO) -> None:
    file.write(f"{pixels.shape}".encode() + pixels.astype(float).tobytes())


def _masks(depth: int, split: Split, path: Path, file: io.BytesIO) -> None:
    dataset = open_data(path.parents[depth], split)
    for number in range(len(dataset)):
        file.write(dataset[number].label_mask.astype(int).tobytes())


def _network(path: Path, file: io.BytesIO) -> None:
    network, spec = load_network(path)
    file.write(repr(spec).encode())
    for tensor in network.state_dict().values():
        file.write(tensor.numpy().tobytes())


def _checkpoint(path: Path, file: io.BytesIO) -> None:
    _dump(load_checkpoint(path.parent), file)


def _dump(value: Any, file: io.BytesIO) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            file.write(repr(name).encode())
            _dump(inner, file)
    elif isinstance(value, torch.Tensor):
        file.write(value.numpy().tobytes())
    else:
        file.write(repr(value).encode())


def _onnx(path: Path, file: io.BytesIO) -> None:
    model = load(path)
    image = np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)
    file.write(repr(model.spec).encode() + model.raw(image).tobytes())


def _recipe(path: Path, file: io.BytesIO) -> None:
    file.write(repr(read_recipe(path, "data")).encode())


READERS: dict[str, Callable[[Path, io.BytesIO], None]] = {
    "PNG mask": partial(_masks, 2, "train"),
    "PNG": _image,
    "JPEG": _image,
    "TIFF": _image,
    "zarr": _zarr,
    "COCO": partial(_masks, 1, "val"),
    "model": _network,
    "checkpoint": _checkpoint,
    ".pth": _network,
    ".onnx": _onnx,
    "recipe": _recipe,
    "settings": lambda path, file: None,
}
