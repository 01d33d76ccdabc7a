"""From a model to a package of bioimage.io, which QuPath's InstanSeg extension reads, too."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import yaml

from spatialembed.errors import UserError, missing_extra
from spatialembed.export.sample_image import sample_image
from spatialembed.export.script.module import WHITE
from spatialembed.export.torchscript import saved, torchscript
from spatialembed.files.writing import atomic_write
from spatialembed.inference.loading import load_network
from spatialembed.models.normalization import PERCENTILE_CLIP
from spatialembed.models.shipped import shipped_models
from spatialembed.models.spec import require_one_target
from spatialembed.pictures import overlay, save_picture

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model
    from spatialembed.models.spec import ModelSpec

WEIGHTS, DESCRIPTION = "instanseg.pt", "rdf.yaml"
"""What the extension asks for."""

SHORTEST = 5
"""Of a package's name, by its standard."""

PAPER = "Neven et al., Instance Segmentation by Jointly Optimizing Spatial Embeddings, CVPR 2019"
PAPER_DOI = "10.48550/arXiv.1906.11109"
OURS = "The spatialembed authors"


def write_package(
    model: str | os.PathLike[str],
    out: Path,
    diameter: float | None = None,
    pixel_size: float | None = None,
    authors: Sequence[str] = (),
    licence: str | None = None,
) -> dict[str, Any]:
    """Write a model as a package of bioimage.io, whole or not at all.

    It holds TorchScript from normalised images to label maps, the normalisation as steps that the
    standard knows, an image that was generated with what the model finds in it, as test tensors
    and as cover, and the model's card.

    Args:
        model, diameter, pixel_size: as :func:`~spatialembed.export.torchscript.torchscript` takes
            them.
        out: the file to write; the package is named by it.
        authors: who trained the model; of a shipped one its authors.
        licence: of the weights, as SPDX names it ("CC-BY-4.0"); the model's own, if it has one.

    Returns:
        What the file says of itself.

    Raises:
        UserError: as there; no authors, or a licence that SPDX does not know; an extra that is
            missing, or a file that cannot be written.
    """
    require_one_target(load_network(model)[1], str(model), "a package of bioimage.io")
    try:
        from bioimageio.spec import ValidationContext, save_bioimageio_package_as_folder
    except ImportError as error:
        raise missing_extra("a package of bioimage.io", "bioimageio") from error
    made, used, notes = torchscript(model, diameter, pixel_size)
    card = _card(model)
    names = list(authors) or ([OURS] if card else [])
    if not names:
        raise UserError("a package of bioimage.io names who made it: add --authors 'A. Name'")
    identifier = _spdx(licence, used.spec)
    name = out.stem if len(out.stem) >= SHORTEST else f"spatialembed-{out.stem}"
    with TemporaryDirectory() as folder, ValidationContext(perform_io_checks=False):
        Path(folder, WEIGHTS).write_bytes(saved(made, notes))
        _write_tensors(made, used, notes, Path(folder))
        about = Path(folder, f"{name}_README.md")
        about.write_text(_documentation(name, used.spec, notes, card), encoding="utf-8")
        try:
            described = _described(Path(folder), about, used.spec, notes, names, identifier)
        except ValueError as error:
            raise UserError(f"{out} cannot be described as bioimage.io asks: {error}") from error
        packed = Path(folder, "package")
        save_bioimageio_package_as_folder(described, output_path=packed, local_files_only=True)
        _write_paths_as_text(packed / DESCRIPTION)
        with atomic_write(out) as path, ZipFile(path, "w", ZIP_DEFLATED) as file:
            for part in sorted(packed.iterdir()):
                file.write(part, part.name)
    return notes


def _write_paths_as_text(file: Path) -> None:
    """Make the description one of format 0.5.10, whose paths are text.

    QuPath's reader (qupath-bioimageio-spec 0.2.1) takes no mappings in their place, which formats
    from 0.5.11 on have; bioimageio.spec brings older ones up to date as it reads them.
    """
    described = yaml.safe_load(file.read_text(encoding="utf-8"))
    described["format_version"] = "0.5.10"
    described["documentation"] = described["documentation"]["source"]
    described["covers"] = [cover["source"] for cover in described["covers"]]
    file.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")


def _card(model: str | os.PathLike[str]) -> str:
    """The card of a shipped model, by its name; empty of others."""
    shipped = shipped_models().get(str(model))
    card = shipped and shipped.with_suffix(".md")
    return card.read_text(encoding="utf-8") if card and card.is_file() else ""


def _spdx(given: str | None, spec: ModelSpec) -> str:
    from bioimageio.spec.model.v0_5 import LicenseId

    name = given or spec.licence.partition(";")[0].strip()
    try:
        return str(LicenseId(name))
    except ValueError as error:
        said = f"{name!r} is no such" if name else "the model names none"
        raise UserError(
            f"a package of bioimage.io has a licence by its SPDX identifier, and {said}; add "
            "--licence, such as CC-BY-4.0"
        ) from error


def _write_tensors(made: Any, used: Model, notes: dict[str, Any], folder: Path) -> None:
    import torch

    pixels = sample_image(used.spec, notes["object_diameter"])
    planes = np.moveaxis(used.normalized(pixels), -1, 0)[None].copy()
    with torch.inference_mode():
        labels = made(torch.from_numpy(planes)).numpy()
    np.save(folder / "test-input.npy", np.moveaxis(pixels, -1, 0)[None].astype(np.float32))
    np.save(folder / "test-output.npy", labels)
    rgb = np.repeat(pixels[..., :1], 3, axis=2)
    both = [rgb, overlay(rgb, labels[0, 0].astype(np.int32))]
    save_picture(folder / "cover.png", np.concatenate(both, axis=1))


def _described(
    folder: Path,
    about: Path,
    spec: ModelSpec,
    notes: dict[str, Any],
    names: Sequence[str],
    licence: str,
) -> Any:
    """The package's description, by the current format."""
    import torch
    from bioimageio.spec.dataset.v0_3 import DatasetDescr
    from bioimageio.spec.model import v0_5 as v

    channels = [f"channel{k}" for k in range(spec.in_channels)]
    channels = ["red", "green", "blue"] if spec.in_channels == 3 else channels
    image, found = v.TensorId("image"), v.TensorId("instance_segmentation")
    scale = notes["micrometers_per_pixel"]
    known = {} if scale is None else {"scale": scale, "unit": "micrometer"}
    any_size = v.ParameterizedSize(min=32, step=1)
    sides = [v.AxisId(name) for name in "yx"]
    given = v.InputTensorDescr(
        id=image,
        axes=[
            v.BatchAxis(),
            v.ChannelAxis(channel_names=channels),
            *(v.SpaceInputAxis(id=side, size=any_size, **known) for side in sides),
        ],
        test_tensor=v.FileDescr(source=folder / "test-input.npy"),
        preprocessing=_steps(spec),
    )
    labels = v.OutputTensorDescr(
        id=found,
        description="Labels of instances from 1 on, 0 for none",
        axes=[
            v.BatchAxis(),
            v.ChannelAxis(channel_names=["instances"]),
            *(
                v.SpaceOutputAxis(
                    id=side, size=v.SizeReference(tensor_id=image, axis_id=side), **known
                )
                for side in sides
            ),
        ],
        test_tensor=v.FileDescr(source=folder / "test-output.npy"),
    )
    weights = v.TorchscriptWeightsDescr(
        source=folder / WEIGHTS, pytorch_version=v.Version(torch.__version__.partition("+")[0])
    )
    trained_on = spec.trained_on and DatasetDescr(name="training data", description=spec.trained_on)
    return v.ModelDescr(
        name=about.stem.removesuffix("_README"),
        description=f"Instances of {', '.join(spec.class_names)}, each with a label of its own.",
        covers=[v.FileDescr(source=folder / "cover.png")],
        documentation=v.FileDescr(source=about),
        authors=[v.Author(name=name) for name in names],
        cite=[v.CiteEntry(text=PAPER, doi=v.Doi(PAPER_DOI))],
        license=v.LicenseId(licence),
        tags=["instance-segmentation", "2d", "pytorch", "spatialembed"],
        training_data=trained_on or None,
        inputs=[given],
        outputs=[labels],
        weights=v.WeightsDescr(torchscript=weights),
        config=v.Config(**{"spatialembed": json.loads(json.dumps(notes))}),
    )


def _steps(spec: ModelSpec) -> list[Any]:
    """A model's normalisation by the standard's steps."""
    from bioimageio.spec.model import v0_5 as v

    normal, channel = spec.normalization, v.AxisId("channel")
    if normal.kind == "percentile":
        low, high = PERCENTILE_CLIP
        scaled = v.ScaleRangeKwargs(
            axes=[v.AxisId("y"), v.AxisId("x")],
            min_percentile=normal.low,
            max_percentile=normal.high,
        )
        return [
            v.ScaleRangeDescr(kwargs=scaled),
            v.ClipDescr(kwargs=v.ClipKwargs(min=low, max=high)),
        ]
    if normal.kind == "range":
        # Along an axis, since the extension reads lists of gains alone.
        gain = [1 / (normal.white or WHITE)] * spec.in_channels
        divided = v.ScaleLinearAlongAxisKwargs(axis=channel, gain=gain)
        return [v.ScaleLinearDescr(kwargs=divided), v.ClipDescr(kwargs=v.ClipKwargs(max=1.0))]
    if normal.kind == "mean-std":
        fixed = v.FixedZeroMeanUnitVarianceAlongAxisKwargs(
            mean=list(normal.mean), std=list(normal.std), axis=channel
        )
        return [v.FixedZeroMeanUnitVarianceDescr(kwargs=fixed)]
    return []


def _documentation(name: str, spec: ModelSpec, notes: dict[str, Any], card: str) -> str:
    """What the package says of the model, then its card."""
    diameter, scale = notes["object_diameter"], notes["micrometers_per_pixel"]
    facts = {
        "Finds": ", ".join(spec.class_names),
        "Trained on": spec.trained_on,
        "Licence": spec.licence,
        "Objects, mean width in pixels": diameter and f"{diameter:.1f}",
        "Micrometres per pixel": scale,
        "Seed threshold": spec.seed_threshold,
        "Foreground threshold": spec.foreground_threshold,
        "Fewest pixels of an object": notes["min_size"],
    }
    lines = [f"- {what}: {value}" for what, value in facts.items() if value]
    text = f"# {name}\n\nA model of spatialembed. {PAPER} (doi:{PAPER_DOI}).\n\n" + "\n".join(lines)
    text += (
        "\n\nThe weights take images that are normalised, as the steps of this package say, and "
        "give label maps.\n\n## Validation\n\nCompare with images that you have labelled by hand: "
        "`spatialembed evaluate`.\n"
    )
    return text + (f"\n{card}" if card else "")
