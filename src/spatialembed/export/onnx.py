"""From a model to an ONNX file that carries all that prediction needs."""

from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from spatialembed.errors import UserError, missing_extra
from spatialembed.export.int8 import check, open_splits, quantized
from spatialembed.files.writing import atomic_write, require_writable
from spatialembed.inference.engine import difference
from spatialembed.inference.loading import load_network
from spatialembed.inference.onnx_file import sealed
from spatialembed.inference.onnx_network import EXPORT_KEY, SPEC_KEY, OnnxNetwork
from spatialembed.inference.predictor import Model
from spatialembed.models import strides
from spatialembed.models.spec import require_one_target

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
    "stride", or volumes (B, C, Z, H, W), and gives their raw output; :func:`spatialembed.load`
    reads it as any model.

    Args:
        model: a run folder, a model file or an authors' file.
        out: the file to write; its name ends in ``.onnx``.
        precision: "float32"; "bf16", which asks the runtime to compute in bfloat16; or "int8",
            calibrated on training images of ``data`` and checked on its validation images.
        data: folder of a data set with truth; for "int8" only.

    Returns:
        What the file says of itself: "precision", "stride", of volumes three along z, y and x, and
        for int8 "calibrated_on" and "checked_on", numbers of images, and the "ap" in "float32" and
        "int8" on the latter.

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
    if precision == "int8":
        require_one_target(spec, str(model), "int8")
    steps = strides(module, spec.dims)
    train, val = (None, None) if data is None else open_splits(Path(data), spec)
    notes: dict[str, Any] = {"precision": precision}
    notes["stride"] = steps[0] if spec.dims == 2 else list(steps)
    written = _traced(module, spec, steps)
    with TemporaryDirectory() as folder:
        exact = _opened(written, spec, notes | {"precision": "float32"}, Path(folder, "exact.onnx"))
        _compare(exact, module, spec)
        if train is not None and val is not None:
            model_of_exact = Model(exact, spec)
            written, notes["calibrated_on"] = quantized(written, model_of_exact, steps, train)
            small = _opened(written, spec, notes, Path(folder, "int8.onnx"))
            notes |= check(model_of_exact, Model(small, spec), val)
    with atomic_write(out) as path:
        _save(written, spec, notes, path)
    return notes


def _traced(module: nn.Module, spec: ModelSpec, steps: tuple[int, ...]) -> onnx.ModelProto:
    """The network with folded batch norms, for any number and size of images."""
    import torch

    from spatialembed.models.folding import folded

    try:
        import onnxscript  # noqa: F401  # what torch exports with
    except ImportError as error:
        raise missing_extra("export", "export") from error
    names = ("batch", *("planes", "rows", "columns")[-spec.dims :])
    batch, *sides = (torch.export.Dim(name, min=1) for name in names)
    image = torch.rand(
        2, spec.in_channels, *(n * step for n, step in zip((3, 5, 7), steps, strict=False))
    )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch has to say of its own code
        program = torch.onnx.export(
            folded(module),
            (image,),
            dynamo=True,
            verbose=False,
            input_names=["image"],
            output_names=["output"],
            dynamic_shapes=(
                {0: batch} | {k: steps[k - 2] * side for k, side in enumerate(sides, 2)},
            ),
        )
    assert program is not None
    made = program.model_proto
    for node in made.graph.node:
        del node.metadata_props[:]  # where torch lies on this machine, which is nobody's business
    return made


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

    off = difference(exported, TorchNetwork(module), spec.in_channels, spec.dims)
    if not off <= TOLERANCE:
        raise UserError(
            f"the exported network's output is off by {off:.2g}; nothing was written, "
            "report this with the model and the versions of torch and openvino"
        )
