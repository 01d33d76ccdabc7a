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
from spatialembed.files.described import some
from spatialembed.inference.channels import fitting
from spatialembed.inference.loading import load
from spatialembed.models.spec import require_one_target
from spatialembed.plugin.layers import (
    Channels,
    channels_of,
    find,
    pixels_of,
    require_dims,
    shape_of,
    spacing_of,
    stated_by,
)
from spatialembed.plugin.painted import Painted, training_command, write_data

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from spatialembed.inference.predictor import Model

FOUND = "spatialembed_found"
"""Metadata of a labels layer: the label map as the model gave it."""

OF = "spatialembed_image"
"""Metadata of a labels layer: the image layers, one a channel, that it is of."""


class Widget(QWidget):  # type: ignore[misc, unused-ignore]  # Any where qtpy is missing
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
        """Run the model on the selected image or stack and add its instances as a labels layer.

        Raises:
            UserError: no image is selected, or the model does not take it.
        """
        layer, model = self._image(), self._loaded()
        require_dims(model, layer.name, shape_of(layer))
        channels = channels_of(layer, self._chosen(), model.spec)
        found, notes = find(model, channels)
        labels = self.viewer.add_labels(found.label_map.copy(), name=f"{layer.name} instances")
        labels.selected_label = len(found) + 1  # what is painted is an object of its own
        labels.metadata = {FOUND: found.label_map, OF: channels}
        labels.scale, labels.translate, labels.units = layer.scale, layer.translate, layer.units
        labels.n_edit_dimensions = model.spec.dims
        told = (
            f"{len(found)} instances.", *notes, "Correct some: paint, erase, fill; then train.",
            "Whatever you leave alone is not used.",
        )  # fmt: skip
        self.said.setText(" ".join(told))
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
        if not painted and (other := self._elsewhere(model)):
            raise UserError(other)
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
        thing = "image" if model.spec.dims == 2 else "volume"
        self.said.setText(f"Training from {some(len(painted), thing)} …")

    def _painted(self, model: Model) -> Iterator[Painted]:
        """The topmost labels layer of each image: found here, or begun by the user.

        Of a stack the planes are images to a model of images.
        """
        done: list[Image] = []
        for layer in reversed(self.viewer.layers):
            if not isinstance(layer, Labels) or not model.spec.dims <= layer.data.ndim <= 3:
                continue
            channels = layer.metadata.get(OF) or self._channels_under(layer, model)
            if not channels or channels[0] in done or channels[0] not in self.viewer.layers:
                continue
            done.append(channels[0])
            fitted = fitting(model.name, model.spec, pixels_of(channels), channels[0].name)
            deep, known = layer.data.ndim == 3, stated_by(channels[0])
            painted = Painted(
                fitted[..., 0] if fitted.shape[-1] == 1 else fitted,
                np.asarray(layer.data),
                layer.metadata.get(FOUND),
                self.complete.isChecked(),
                (spacing_of(channels[0]) or model.spec.spacing) if deep else None,
                None if known is None else (known[-2], known[-1]),
            )
            yield from painted.planes() if layer.data.ndim > model.spec.dims else [painted]

    def _elsewhere(self, model: Model) -> str | None:
        """Why a labels layer on which something is painted is none of the model's."""
        for layer in self.viewer.layers:
            if isinstance(layer, Labels) and np.any(layer.data):
                try:
                    require_dims(model, layer.name, layer.data.shape)
                except UserError as error:
                    return str(error)
        return None

    def _channels_under(self, labels: Labels, model: Model) -> Channels | None:
        """The image that a layer of the user's own was painted on; None of an empty one.

        Raises:
            UserError: it could be any of several.
        """
        if not np.any(labels.data):
            return None
        images = [image for image in self._images() if shape_of(image) == labels.data.shape]
        chosen = self.viewer.layers.selection
        if len(images) > 1 and labels in chosen:  # an image that was just opened is alone in it
            images = [layer for layer in images if layer in chosen] or images
        if images and len(channels := channels_of(images[0], images, model.spec)) > 1:
            return channels
        if len(images) > 1:
            raise UserError(
                f"{labels.name} could be painted on any of {len(images)} images of its size: "
                "select the layer and its image together, and train again"
            )
        return images

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

    def _chosen(self) -> list[Image]:
        """The selected images, in the order of the list, from below."""
        return [layer for layer in self._images() if layer in self.viewer.layers.selection]

    def _image(self) -> Image:
        images = self._chosen() or self._images()
        if not images:
            raise UserError("there is no image layer: open an image first")
        return images[-1]

    def _loaded(self) -> Model:
        key = self.model.text(), self.diameter.value() or None
        if self._held is None or self._held[0] != key:
            model = load(key[0], diameter=key[1])
            require_one_target(model.spec, model.name, "the plug-in")
            self._held = key, model
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
