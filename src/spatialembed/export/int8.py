"""Quantisation to 8 bits, calibrated on training images and checked on validation images."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialembed.data.data_set import FileDataSet
from spatialembed.data.held_out import open_as_trained
from spatialembed.data.sample import Sample
from spatialembed.errors import UserError, missing_extra
from spatialembed.inference.channels import fitting
from spatialembed.inference.evaluate import crowds_of
from spatialembed.inference.image_files import spacing_in
from spatialembed.metrics.average_precision import Scored, score_images

if TYPE_CHECKING:
    import onnx

    from spatialembed.inference.predictor import Model
    from spatialembed.models.spec import ModelSpec

CALIBRATED_ON = 64
"""Training images that activations are measured on, at most."""

CHECKED_ON = 100
"""Validation images that accuracy is measured on, at most."""

LARGEST = {2: 512, 3: 96}
"""Side in pixels or voxels of the middle that calibration takes, by the number of spatial axes."""

TOLERATED = 0.005
"""Mean AP over .50 to .90 that 8 bits may cost."""


def open_splits(data: Path, spec: ModelSpec) -> tuple[FileDataSet, FileDataSet]:
    """Training and validation images of a data set, as the model was trained with them.

    Raises:
        UserError: there is no such data set, it lacks one of them, or it is of volumes and the
            model is not, or the other way round.
    """
    how = (spec.class_names, spec.training, crowds_of(data, spec.training.get("crowds")))
    train, val = open_as_trained(data, "train", *how), open_as_trained(data, "val", *how)
    if {train.dims, val.dims} != {spec.dims}:
        held, wanted = ("volumes", "images") if spec.dims == 2 else ("images", "volumes")
        raise UserError(f"{data} holds {held}; give {wanted} of the kind that the model is of")
    return train, val


def quantized(
    network: onnx.ModelProto, model: Model, steps: tuple[int, ...], train: FileDataSet
) -> tuple[onnx.ModelProto, int]:
    """The network with weights and activations of 8 bits, and the number of images that showed how.

    Post-training quantisation of NNCF: ranges of activations from images, weights per channel. The
    first convolutions stay as they are.

    Raises:
        UserError: NNCF is missing, or an image cannot be read.
    """
    os.environ.setdefault("NNCF_CI", "1")  # it would report its use to its makers
    try:
        import nncf
    except ImportError as error:
        raise missing_extra("int8", "export") from error
    nncf.set_log_level(logging.ERROR)
    images = []
    for sample, spacing in _spread(model, train, CALIBRATED_ON):
        sized = model.at_true_size(sample.image, sample.name, spacing) or model
        pixels = fitting(model.name, model.spec, sample.image, sample.name)
        images.append({"image": _middle(sized.prepared(pixels), steps)})
    made = nncf.quantize(
        network,
        nncf.Dataset(images),
        preset=nncf.QuantizationPreset.MIXED,  # what a ReLU gives has no use for negative steps
        subset_size=len(images),
        # Layer by layer, each by what those before it give in 8 bits: corrected all at once, a
        # pretrained_unet came to a mean AP of .709 where it has .717 in float32, so to .719.
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=_first(network.graph)),
    )
    return made, len(images)


def _first(graph: onnx.GraphProto) -> list[str]:
    """Names of the convolutions next to the image, for which 8 bits have too few steps.

    Where few pixels are bright all others would be next to 0. What the last ones read may be in 8
    bits: they have 32 for their sums, and offsets keep theirs.
    """
    found, tensors = [], {"image"}
    for node in graph.node:
        if tensors.intersection(node.input):
            if node.op_type in ("Conv", "ConvTranspose"):
                found.append(node.name)
            else:
                tensors.update(node.output)
    return found


def check(exact: Model, small: Model, val: FileDataSet) -> dict[str, Any]:
    """Mean AP in float32 and int8 over validation images, and their number.

    Raises:
        UserError: int8 costs more than :data:`TOLERATED`.
    """
    ap = {
        name: _ap(model, _spread(model, val, CHECKED_ON))
        for name, model in (("float32", exact), ("int8", small))
    }
    loss, count = ap["float32"] - ap["int8"], min(len(val), CHECKED_ON)
    if not loss <= TOLERATED:
        raise UserError(
            f"int8 costs {100 * loss:.1f} points of mean AP ({ap['float32']:.3f} to "
            f"{ap['int8']:.3f}; validation images of {val.root}: {count}); export in float32 or "
            "bf16"
        )
    return {"checked_on": count, "ap": ap}


def _spread(
    model: Model, dataset: FileDataSet, most: int
) -> Iterator[tuple[Sample, tuple[float, ...] | None]]:
    """Samples from all over a data set, and their micrometres where the model compares these."""
    chosen = np.linspace(0, len(dataset) - 1, min(len(dataset), most)).astype(int).tolist()
    return ((dataset[i], spacing_in(dataset, i, model)) for i in chosen)


def _middle(image: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """(1, C, *S) float32, the middle of a prepared image, its sides multiples of ``steps``."""
    border = [(0, 0)]
    for axis, step in enumerate(steps, 1):
        side = image.shape[axis]
        kept = min(side, LARGEST[len(steps)])
        image = image.take(range((side - kept) // 2, (side - kept) // 2 + kept), axis)
        border.append((0, -kept % step))
    return np.pad(image, border, mode="edge")[None]


def _ap(model: Model, samples: Iterable[tuple[Sample, tuple[float, ...] | None]]) -> float:
    def scored() -> Iterator[Scored]:
        for sample, spacing in samples:
            sized = model.for_image(sample.image, sample.name, spacing)
            found = sized.predict(sample.image, name=sample.name)
            yield found, sample.label_mask, sample.class_map, sample.ignore, sample.name

    scores = score_images(scored(), model.spec.class_names)
    return float(scores["mean"]["mean_over_images"]["ap_mean"])
