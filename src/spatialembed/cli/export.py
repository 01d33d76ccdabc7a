"""`spatialembed export`: a model as a file for other programs, by the file's suffix."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from spatialembed.console.output import console, warn
from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write, require_writable

FEW = 20
"""Images on which a figure says little."""

SUFFIXES = (".onnx", ".pt", ".zip")


def run_export(
    model: str,
    out: Path,
    precision: Literal["float32", "bf16", "int8"] = "float32",
    data: Path | None = None,
    diameter: float | None = None,
    pixel_size: float | None = None,
    authors: str | None = None,
    licence: str | None = None,
) -> int:
    """Write a model as a file for other programs: ONNX, TorchScript, or a package of bioimage.io.

    x.onnx holds the network, predicts without torch and, in int8, much faster. x.pt is TorchScript
    from normalised images to label maps. x.zip is a package of bioimage.io with that and all
    that it asks for; QuPath's InstanSeg extension and deepImageJ read it.

    Args:
        model: a shipped model (`spatialembed models` lists them), run folder, model file or
            authors' file.
        out: the file to write, ending in .onnx, .pt or .zip; one that is there is replaced.
        precision: float32, bf16 or int8; of .onnx alone.
        data: data set that int8 is calibrated and checked on; it is refused if accuracy suffers.
        diameter: of .pt and .zip, pixels across of objects in the images to come.
        pixel_size: of .pt and .zip, micrometres per pixel of the images to come.
        authors: of .zip, who trained the model, with commas between names; its own if shipped.
        licence: of .zip, that of the weights as SPDX names it; the model's own by default.
    """
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{out} does not end in .onnx, .pt or .zip; name the file to write so")
    if out.is_dir():
        raise UserError(f"{out} is a folder; name the file to write")
    sizes: dict[str, Any] = {"diameter": diameter, "pixel_size": pixel_size}
    names: dict[str, Any] = {"authors": authors, "licence": licence}
    if suffix == ".onnx":
        _require_none(sizes | names, ".pt and .zip", out)
        return _onnx(model, out, precision, data)
    _require_none({"data": data, "precision": None if precision == "float32" else 1}, ".onnx", out)
    require_writable(out.parent, "file to write")
    if suffix == ".pt":
        _require_none(names, ".zip", out)
        return _torchscript(model, out, diameter, pixel_size)
    from spatialembed.export.bioimageio import write_package

    who = [name.strip() for name in (authors or "").split(",") if name.strip()]
    notes = write_package(model, out, diameter, pixel_size, who, licence)
    return _say(out, notes)


def _require_none(options: dict[str, Any], suffixes: str, out: Path) -> None:
    for name, value in options.items():
        if value is not None:
            raise UserError(f"--{name} is for {suffixes} files, and {out} is none; leave it out")


def _onnx(
    model: str, out: Path, precision: Literal["float32", "bf16", "int8"], data: Path | None
) -> int:
    from spatialembed.export.onnx import export_model

    notes = export_model(model, out, precision, data)
    said = f"Written: {out}, {out.stat().st_size / 1e6:.1f} MB, {precision}"
    if precision == "int8":
        said += (
            f"; mean AP {notes['ap']['int8']:.3f} where float32 has {notes['ap']['float32']:.3f}, "
            f"validation images: {notes['checked_on']}"
        )
        said += " (too few to tell)" if notes["checked_on"] < FEW else ""
    console.print(said, soft_wrap=True)
    return 0


def _torchscript(model: str, out: Path, diameter: float | None, pixel_size: float | None) -> int:
    from spatialembed.export.torchscript import saved, torchscript

    made, _, notes = torchscript(model, diameter, pixel_size)
    with atomic_write(out) as path:
        path.write_bytes(saved(made, notes))
    return _say(out, notes)


def _say(out: Path, notes: dict[str, Any]) -> int:
    """What was written, and what whoever runs it has to know."""
    wide, scale = notes["object_diameter"], notes["micrometers_per_pixel"]
    about = f", for objects of about {wide:.0f} pixels" if wide else ""
    console.print(f"Written: {out}, {out.stat().st_size / 1e6:.1f} MB{about}", soft_wrap=True)
    if notes["spec"]["finds_size"]:
        warn(["the model finds the size of objects by itself, its exported file does not"])
    if scale is None and out.suffix.lower() == ".zip":
        warn(
            [
                "it says no pixel size, and QuPath takes images to 1 µm a pixel then: for QuPath "
                "add --pixel_size with the micrometres a pixel at which objects are that wide"
            ]
        )
    return 0
