"""From a model to an ONNX file that carries all that prediction needs."""

from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spatialembed.errors import UserError
from spatialembed.export.int8 import check, open_splits, quantized
from spatialembed.files.writing import atomic_write, require_writable
from spatialembed.inference.loading import load_network
from spatialembed.inference.onnx_file import sealed
from spatialembed.inference.onnx_network import EXPORT_KEY, SPEC_KEY, OnnxNetwork
from spatialembed.inference.predictor import Model

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from spatialembed.models.spec import ModelSpec

TOLERANCE = 1e-3
"""Largest difference of a float32 export from torch, in units of the raw output."""


def export_model(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    precision: Literal["float32", "bf16", "int8"] = "float32",
    data: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Write a model as an ONNX file, whole or not at all.

    The file's network takes normalised images (B, C, H, W) float32, H and W multiples of
    "stride", and gives their raw output; :func:`spatialembed.load` reads it as any model.

    Args:
        model: a run folder, a model file or an authors' file.
        out: the file to write; its name ends in ``.onnx``.
        precision: "float32"; "bf16", which asks the runtime to compute in bfloat16; or "int8",
            calibrated on training images of ``data`` and checked on its validation images.
        data: folder of a data set with truth; for "int8" only.

    Returns:
        What the file says of itself: "precision", "stride", and for int8 "calibrated_on" and
        "checked_on", numbers of images, and the "ap" in "float32" and "int8" on the latter.

    Raises:
        UserError: the model cannot be read, another suffix, int8 without data or at a loss of
            accuracy, an extra that is missing, or a file that cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() != ".onnx":
        raise UserError(f"{out} does not end in .onnx; name the file to write so")
    if out.is_dir():
        raise UserError(f"{out} is a folder; name the file to write")
    require_writable(out.parent, "file to write")
    if (precision == "int8") != (data is not None):
        raise UserError(
            "int8 is calibrated and checked on images with truth: add --data FOLDER"
            if precision == "int8"
            else "only int8 looks at data; leave out --data, or add --precision int8"
        )
    module, spec = load_network(model)
    if spec.dims == 3:
        raise UserError(
            f"{model} is of volumes, and models of images alone are exported; predict with it as "
            "it is"
        )
    train, val = (None, None) if data is None else open_splits(Path(data), spec)
    notes: dict[str, Any] = {"precision": precision, "stride": int(module.stride)}  # type: ignore[arg-type]
    written = _traced(module, spec)
    with TemporaryDirectory() as folder:
        exact = _opened(written, spec, notes | {"precision": "float32"}, Path(folder, "exact.onnx"))
        _compare(exact, module, spec)
        if train is not None and val is not None:
            model_of_exact = Model(exact, spec)
            written, notes["calibrated_on"] = quantized(
                written, model_of_exact, notes["stride"], train
            )
            small = _opened(written, spec, notes, Path(folder, "int8.onnx"))
            notes |= check(model_of_exact, Model(small, spec), val)
    with atomic_write(out) as path:
        _save(written, spec, notes, path)
    return notes


def _traced(module: nn.Module, spec: ModelSpec) -> onnx.ModelProto:
    """The network with folded batch norms, for any number and size of images."""
    import torch

    from spatialembed.models.folding import folded

    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError("export needs pip install 'spatialembed[export]'") from error
    sizes = [torch.export.Dim(name, min=1) for name in ("batch", "rows", "columns")]
    stride = int(module.stride)  # type: ignore[arg-type]
    image = torch.rand(2, spec.in_channels, 3 * stride, 5 * stride)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            folded(module),
            (image,),
            dynamo=True,
            verbose=False,
            input_names=["image"],
            output_names=["output"],
            dynamic_shapes=({0: sizes[0], 2: stride * sizes[1], 3: stride * sizes[2]},),
        )
    assert program is not None
    return program.model_proto


def _save(written: onnx.ModelProto, spec: ModelSpec, notes: dict[str, Any], path: Path) -> None:
    import onnx

    texts = {SPEC_KEY: json.dumps(spec.to_dict()), EXPORT_KEY: json.dumps(notes)}
    onnx.helper.set_model_props(written, texts)
    path.write_bytes(sealed(written.SerializeToString()))


def _opened(
    written: onnx.ModelProto, spec: ModelSpec, notes: dict[str, Any], path: Path
) -> OnnxNetwork:
    _save(written, spec, notes, path)
    return OnnxNetwork(path)


def _compare(exported: OnnxNetwork, module: nn.Module, spec: ModelSpec) -> None:
    """Refuse a file whose output is not the network's."""
    from spatialembed.inference.torch_network import TorchNetwork

    rng = np.random.default_rng(0)
    image = rng.uniform(0, 1, (spec.in_channels, 70, 90)).astype(np.float32)
    difference = np.abs(exported(image) - TorchNetwork(module)(image)).max()
    if not difference <= TOLERANCE:
        raise UserError(
            f"the exported network's output is off by {difference:.2g}; nothing was written, "
            "report this with the model and the versions of torch and openvino"
        )
