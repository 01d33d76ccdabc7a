"""From a model to a TorchScript file that gives label maps: for programs without Python."""

from __future__ import annotations

import io
import json
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile, ZipInfo

import numpy as np

from spatialembed.errors import UserError
from spatialembed.inference.loading import load_network
from spatialembed.inference.predictor import Model
from spatialembed.inference.true_size import ratios_of, require_near
from spatialembed.models import strides
from spatialembed.models.spec import require_one_target

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import torch

    from spatialembed.export.script.module import InstancesOf

NOTES_FILE = "spatialembed.json"
"""What a file says of itself, among the extra files of ``torch.jit.load``."""


def torchscript(
    model: str | os.PathLike[str], diameter: float | None = None, pixel_size: float | None = None
) -> tuple[torch.jit.ScriptModule, Model, dict[str, Any]]:
    """A model as TorchScript, from normalised images to label maps.

    Args:
        model: a run folder, a model file or an authors' file, of images.
        diameter: how wide objects are in the images to come, in pixels; None: as in training,
            also of a model that finds sizes by itself, which the module does not.
        pixel_size: micrometres per pixel of the images to come; None for those of training, where
            the model knows them, with which it is made for others, too.

    Returns:
        The module (see :class:`~spatialembed.export.script.module.InstancesOf`), the model that
        gives the same label maps, and what the file is to say of itself.

    Raises:
        UserError: the model cannot be read, is of volumes, does not say how wide its objects were,
            or the module finds something else than the model; a pixel size that is none, or too far
            from that of training.
    """
    from spatialembed.inference.torch_network import TorchNetwork
    from spatialembed.models.folding import folded

    module, spec = load_network(model)
    require_one_target(spec, str(model), "TorchScript with clustering")
    if spec.dims != 2:
        raise UserError(f"{model} is of volumes; TorchScript is of images: export it as .onnx")
    if pixel_size is not None and not 0 < pixel_size < np.inf:
        raise UserError(f"--pixel_size is a number of micrometres above 0, not {pixel_size}")
    ratios = ratios_of(spec, None if pixel_size is None else (pixel_size, pixel_size))
    if diameter is None and ratios is not None and spec.object_diameter is not None:
        require_near(ratios, str(model), spec, "the kind of images to come")
        diameter = spec.object_diameter / ratios.planes
    used = Model(TorchNetwork(folded(module)), spec, str(model), diameter=diameter).seeing(
        spec.object_diameter if diameter is None and spec.object_diameter else diameter
    )
    made = _scripted(used, strides(module, 2)[0])
    _compare(made, used)
    notes = {"spec": spec.to_dict(), "zoom": used.zoom, "min_size": used.settings()[2]}
    known = spec.object_diameter
    notes["object_diameter"] = known and known / used.size_ratio
    known_size = spec.pixel_size and spec.pixel_size * used.size_ratio
    notes["micrometers_per_pixel"] = known_size if pixel_size is None else pixel_size
    return made, used, notes


def saved(made: torch.jit.ScriptModule, notes: dict[str, Any]) -> bytes:
    """The file of a module and what it says of itself, and nothing of this machine."""
    import torch

    whole, kept = io.BytesIO(), io.BytesIO()
    with _quiet():
        torch.jit.save(made, whole, {NOTES_FILE: json.dumps(notes)})
    with ZipFile(whole) as read, ZipFile(kept, "w") as write:
        for part in read.infolist():
            if not part.filename.endswith(".debug_pkl"):  # by which files here what was made
                write.writestr(ZipInfo(part.filename), read.read(part))
    return kept.getvalue()


def _scripted(model: Model, stride: int) -> torch.jit.ScriptModule:
    import torch

    from spatialembed.export.script.module import InstancesOf
    from spatialembed.inference.torch_network import TorchNetwork

    assert isinstance(model.network, TorchNetwork)
    network, spec = model.network.module, model.spec
    example = torch.zeros(1, spec.in_channels, 2 * stride, 2 * stride)
    with _quiet(), torch.inference_mode(False), torch.no_grad():
        traced = torch.jit.trace(network, example, check_trace=False)
        whole: InstancesOf = InstancesOf(traced, stride, spec, model.zoom, model.settings()[2])
        made: torch.jit.ScriptModule = torch.jit.script(whole.eval())
    return made


def _compare(made: torch.jit.ScriptModule, model: Model) -> None:
    """Refuse a module that does not find what the model finds in noise, at a size of its own."""
    import torch

    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, model.spec.in_channels), np.uint8)
    planes = torch.from_numpy(np.moveaxis(model.normalized(pixels), -1, 0).copy())[None]
    with torch.inference_mode():
        off = (made.output(planes[0]).numpy() - model.raw(pixels)).max()
        found = made(planes)[0, 0].numpy()
    if not off <= 1e-3 or (found != model.cluster(model.raw(pixels)).label_map).mean() > 1e-3:
        raise UserError(
            "the exported module finds something else than the model; nothing was written, report "
            "this with the model and the version of torch"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's word that there are newer ways, none of which runs in other programs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
