"""The widget in napari: find the instances of the selected image, and train from corrections."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QProcess
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from spatialembed.errors import UserError
from spatialembed.inference.channels import fitting
from spatialembed.inference.loading import load
from spatialembed.plugin.painted import Painted, training_command, write_data

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from spatialembed.inference.predictor import Model

FOUND = "spatialembed_found"
"""Metadata of a labels layer: the label map as the model gave it."""

OF = "spatialembed_image"
"""Metadata of a labels layer: its image layer."""


class Widget(QWidget):  # type: ignore[misc, unused-ignore]
    """Finds instances, and trains a better model from the ones that were corrected.

    Args:
        napari_viewer: given by napari.

    Attributes:
        length: of a training, as a recipe has it; None takes the minutes that are set.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.length: dict[str, float] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="spatialembed-"))
        self.process: QProcess | None = None
        self._held: tuple[tuple[str, float | None], Model] | None = None
        self._runs = 0
        self._said = ""
        self._build()

    def _build(self) -> None:
        self.model = QLineEdit("nuclei")
        self.model.setToolTip("A shipped model, a run folder or a model file")
        self.diameter = QDoubleSpinBox()
        self.diameter.setRange(0, 10_000)
        self.diameter.setSpecialValueText("as in training")
        self.minutes = QDoubleSpinBox()
        self.minutes.setRange(0.5, 600)
        self.minutes.setValue(2)
        self.complete = QCheckBox("Every object is painted; the rest is background")
        self.find_button = QPushButton("Find instances")
        self.find_button.clicked.connect(lambda: self._saying(self.find_instances))
        self.train_button = QPushButton("Train from corrections")
        self.train_button.clicked.connect(lambda: self._saying(self.train))
        self.said = QLabel("Select an image layer, then find its instances.")
        self.said.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Model", self.model)
        form.addRow("Diameter, pixels", self.diameter)
        form.addRow(self.find_button)
        form.addRow("Minutes", self.minutes)
        form.addRow(self.complete)
        form.addRow(self.train_button)
        layout = QVBoxLayout()
        layout.addLayout(form)
        layout.addWidget(self.said)
        layout.addStretch()
        self.setLayout(layout)

    def find_instances(self) -> Labels:
        """Run the model on the selected image layer and add its instances as a labels layer.

        Raises:
            UserError: no image is selected, or the model does not take it.
        """
        layer = self._image()
        found = self._loaded().predict(_pixels(layer), name=layer.name)
        labels = self.viewer.add_labels(found.label_map.copy(), name=f"{layer.name} instances")
        labels.selected_label = len(found) + 1  # what is painted is an object of its own
        labels.metadata = {FOUND: found.label_map, OF: layer}
        labels.scale, labels.translate = layer.scale[-2:], layer.translate[-2:]
        self.said.setText(
            f"{len(found)} instances. Correct some: paint, erase, fill; then train. Whatever you "
            "leave alone is not used."
        )
        return labels

    def train(self) -> None:
        """Start a training from all corrected layers; its model is taken when it ends.

        Raises:
            UserError: a training goes on, or nothing is painted.
        """
        if self.process is not None:
            raise UserError("a training goes on; wait until it ends")
        self._runs += 1
        here, run = self.folder / f"{self._runs:02}", self.folder / f"run{self._runs:02}"
        model = self._loaded()
        painted = list(self._painted(model))
        if not painted and (deep := self._deep()):
            raise UserError(
                f"{deep} is painted on a volume, and training here is on images: save it with its "
                "volume as a data set, and use spatialembed train with --config volumes"
            )
        write_data(here / "data", painted)
        length = self.length or {"minutes": self.minutes.value()}
        program, *arguments = training_command(
            self.model.text(), model, painted, here / "data", run, **length
        )
        self.process = QProcess(self)
        self.process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self.process.readyRead.connect(self._progress)
        self.process.finished.connect(lambda code, _: self._ended(code, run))
        self.train_button.setEnabled(False)
        self.process.start(program, arguments)
        self._said = ""
        self.said.setText(f"Training from {len(painted)} images …")

    def _painted(self, model: Model) -> Iterator[Painted]:
        """The topmost labels layer of each image: found here, or begun by the user."""
        done: list[Image] = []
        for layer in reversed(self.viewer.layers):
            if not isinstance(layer, Labels) or layer.data.ndim != 2:
                continue
            image = layer.metadata.get(OF) or self._image_under(layer)
            if image is None or image in done or image not in self.viewer.layers:
                continue
            done.append(image)
            pixels = _pixels(image)
            color = pixels.reshape(*pixels.shape[:2], -1)
            fitted = fitting(model.name, model.spec, color, image.name)
            yield Painted(
                fitted[..., 0] if fitted.shape[2] == 1 else fitted,
                np.asarray(layer.data),
                layer.metadata.get(FOUND),
                self.complete.isChecked(),
            )

    def _deep(self) -> str | None:
        """The name of a labels layer of more than two axes on which something is painted."""
        labels = [layer for layer in self.viewer.layers if isinstance(layer, Labels)]
        return next((one.name for one in labels if one.data.ndim > 2 and np.any(one.data)), None)

    def _image_under(self, labels: Labels) -> Image | None:
        """The image that a layer of the user's own was painted on; None of an empty one.

        Raises:
            UserError: it could be any of several.
        """
        if not np.any(labels.data):
            return None
        images = [image for image in self._images() if _shape(image) == labels.data.shape]
        chosen = self.viewer.layers.selection
        if len(images) > 1 and labels in chosen:  # an image that was just opened is alone in it
            images = [layer for layer in images if layer in chosen] or images
        if len(images) > 1:
            raise UserError(
                f"{labels.name} could be painted on any of {len(images)} images of its size: "
                "select the layer and its image together, and train again"
            )
        return next(iter(images), None)

    def _progress(self) -> None:
        assert self.process is not None
        self._said += bytes(self.process.readAll().data()).decode(errors="replace")
        if self._said.strip():
            self.said.setText(self._said.strip().splitlines()[-1])

    def _ended(self, code: int, run: Path) -> None:
        self.process = None
        self.train_button.setEnabled(True)
        if code:
            last = self._said.strip().splitlines()[-1:] or ["it ended without a word"]
            self.said.setText(f"Training failed (exit code {code}): {last[0]}")
            return
        self.model.setText(str(run))
        self.diameter.setValue(0)  # the run knows objects as large as they are in these images
        outcome = self._said.strip().splitlines()[-2:][0]  # before the name of the folder
        self.said.setText(f"Trained. {outcome}. Find instances now uses {run}; copy it to keep it.")

    def _images(self) -> list[Image]:
        return [layer for layer in self.viewer.layers if isinstance(layer, Image)]

    def _image(self) -> Image:
        selected = [layer for layer in self.viewer.layers.selection if isinstance(layer, Image)]
        images = selected or self._images()
        if not images:
            raise UserError("there is no image layer: open an image first")
        layer = images[-1]
        if len(_shape(layer)) != 2:
            raise UserError(
                f"{layer.name} has shape {_shape(layer)}; select a single 2D image, grey or RGB"
            )
        return layer

    def _loaded(self) -> Model:
        key = self.model.text(), self.diameter.value() or None
        if self._held is None or self._held[0] != key:
            loaded = load(key[0], diameter=key[1])
            if loaded.spec.dims == 3:
                raise UserError(f"{key[0]} is of volumes, this is for images: use its command line")
            self._held = key, loaded
        return self._held[1]

    def _saying(self, action: Any) -> None:
        """Do what a button asks for, or say in one sentence why not."""
        try:
            action()
        except UserError as error:
            self.said.setText(str(error))

    def closeEvent(self, event: Any) -> None:
        """Stop a training that goes on."""
        if self.process is not None:
            self.process.kill()
        super().closeEvent(event)


def _pixels(layer: Image) -> np.ndarray:
    """(H, W) or (H, W, 3) pixels of an image layer, of a pyramid the largest."""
    pixels = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    return pixels[..., :3] if layer.rgb else pixels


def _shape(layer: Image) -> tuple[int, ...]:
    """Of the image, without channels."""
    shape = tuple((layer.data[0] if layer.multiscale else layer.data).shape)
    return shape[:-1] if layer.rgb else shape
