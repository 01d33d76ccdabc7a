"""Models by name or file: shipped, of a run, a model file, exported, or an authors' file.

Each kind is read where its format is described; this is where they become one :class:`Model`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spatialembed.errors import UserError, require_number
from spatialembed.files.described import fitting, in_python
from spatialembed.inference.network import Network
from spatialembed.inference.predictor import Model
from spatialembed.inference.processor import on_processor
from spatialembed.models.authors import load_authors_model
from spatialembed.models.checkpoint import MODEL_FILE, load_model
from spatialembed.models.shipped import in_8_bits, shipped_models

if TYPE_CHECKING:
    from torch import nn

    from spatialembed.models.spec import ModelSpec

LEAST_DIAMETER = 2
"""Pixels across of objects that may be asked for."""

AUTHORS_SUFFIXES = (".pth", ".pt", ".tar")
"""Files of the original's and of EmbedSeg's training end in these."""


def load(
    path: str | os.PathLike[str],
    device: str = "auto",
    precision: Literal["float32", "bf16"] | None = None,
    symmetries: bool = False,
    diameter: float | None = None,
    invert: bool = False,
    pixel_size: float | None = None,
) -> Model:
    """A trained model, ready to predict.

    Args:
        path: the name of a shipped model ("nuclei"), a run folder, a model file, an exported
            ``.onnx``, or an authors' ``.pth`` (of the original's training or of EmbedSeg's, with
            its two JSON files beside it).
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …
        precision: "float32" or "bf16"; None is what the model was exported in, on the processor
            int8 for a shipped model that has it, else float32.
        symmetries: predict with test-time augmentation, over the symmetries that the model was
            trained with: more accurate, up to 8 times slower.
        diameter: how wide objects are in the images to come, in pixels, where that is not as in
            the model's training images.
        invert: exchange dark and bright before the network sees an image, where objects are dark
            and were bright in training, or the other way round.
        pixel_size: micrometres that pixels of the images to come are wide, where their files do
            not state it, or state another; see :class:`Model`.

    Raises:
        UserError: there is no model there, it is damaged or from a newer version, the device
            is not available, an exported model has another precision, a diameter cannot be
            followed, a normalisation not be inverted, a pixel size not be one, or a switch is
            neither True nor False.
    """
    # text such as "no" would be true
    symmetries = fitting(bool, in_python(symmetries), "symmetries", "load")
    invert = fitting(bool, in_python(invert), "invert", "load")
    if diameter is not None:
        diameter = require_number(diameter, "the diameter")
    if pixel_size is not None:
        pixel_size = require_number(pixel_size, "the pixel size")
    device = str(device)  # a torch.device, too
    given, path = path, file_to_run(path, device, precision)
    network, spec = (
        _exported(path, device, precision)
        if path.suffix.lower() == ".onnx"
        else _in_torch(path, device, precision or "float32")
    )
    count = int(spec.training.get("symmetries", 1)) if symmetries else 1
    if diameter is not None and 0 < diameter < LEAST_DIAMETER:
        raise UserError(
            f"--diameter {diameter:g}: objects of less than {LEAST_DIAMETER} pixels have no "
            "outline that enlarging would show; give how wide they are in pixels of the images"
        )
    model = Model(network, spec, str(Path(given)), count, diameter, invert, pixel_size)
    model.weights = weights_of(path, precision)
    return model


def weights_of(path: Path, precision: str | None = None) -> str:
    """A digest of a model's file, as :func:`file_to_run` gives it; empty where there is none.

    With what else makes its results others: the precision asked for, or that of a shipped model's
    second file, both of which have one name.
    """
    path = path / MODEL_FILE if path.is_dir() else path
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    low = "int8" if path == in_8_bits(path.stem) else precision
    return f"{digest} in {low}" if low in ("int8", "bf16") else digest


def model_file(path: str | os.PathLike[str]) -> Path:
    """A path, or that of the shipped model of this name; a file or a run of that name goes first.

    Raises:
        UserError: a name that is neither.
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"a model is given by its name or path, not as {type(path).__name__}")
    given, shipped = Path(path), shipped_models()
    if given.is_file() or (given / MODEL_FILE).is_file():
        return given
    is_name = given.name == str(path) and not given.suffix
    if is_name and not given.exists() and str(path) not in shipped:
        raise UserError(
            f"there is no model at {path}; name a run folder, a model file or a shipped model: "
            f"{', '.join(shipped) or 'none is'} (`spatialembed models` says what each is for)"
        )
    return shipped.get(str(path), given)


def file_to_run(path: str | os.PathLike[str], device: str, precision: str | None) -> Path:
    """The file of a model; of a shipped one the int8 file, where its name is all that was asked.

    Raises:
        UserError: there is no such model, or no such device on this machine.
    """
    file, name = model_file(path), str(path)
    if precision is None and shipped_models().get(name) == file and on_processor(device):
        return in_8_bits(name) or file
    return file


def _exported(path: Path, device: str, precision: str | None) -> tuple[Network, ModelSpec]:
    from spatialembed.inference.onnx_network import OnnxNetwork

    if device not in ("auto", "cpu"):
        raise UserError(f"an exported model runs on the processor; leave out --device {device}")
    network = OnnxNetwork(path)
    if precision not in (None, network.precision):
        raise UserError(
            f"{path} was exported in {network.precision}; leave out --precision {precision}, or "
            "export the model in it"
        )
    return network, network.spec


def _in_torch(
    path: Path, device: str, precision: Literal["float32", "bf16"]
) -> tuple[Network, ModelSpec]:
    from spatialembed.inference.cpu_network import CpuNetwork
    from spatialembed.inference.cuda_network import CudaNetwork
    from spatialembed.inference.one_pass import in_one_pass
    from spatialembed.inference.torch_network import TorchNetwork, pick_device
    from spatialembed.models.folding import folded

    place = pick_device(device)
    module, spec = load_network(path)
    if place.type == "cuda" and spec.dims == 2:
        return CudaNetwork(in_one_pass(folded(module)).to(place), precision), spec
    if place.type == "cpu" and precision == "float32":
        return CpuNetwork(folded(module), spec.in_channels, spec.dims), spec
    network = TorchNetwork(folded(module).to(place), precision)
    if precision == "bf16":
        network.module.bfloat16()
    return network, spec


def load_network(path: str | os.PathLike[str]) -> tuple[nn.Module, ModelSpec]:
    """The network of a path that :func:`load` takes, as it was trained, on the CPU; its spec.

    Raises:
        UserError: there is no model there, it is damaged or from a newer version.
    """
    path = model_file(path)
    if path.suffix.lower() == ".onnx":
        raise UserError(f"{path} is an exported model; name the run folder it was exported from")
    from_authors = path.suffix.lower() in AUTHORS_SUFFIXES
    return load_authors_model(path) if from_authors else load_model(path)
