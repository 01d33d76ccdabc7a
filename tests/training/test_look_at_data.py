"""What would end a run later ends it before its first step, by the name of the file."""

import re

import numpy as np
import pytest
from PIL import Image

from spatialembed.errors import UserError
from spatialembed.training import StageConfig, TrainConfig, loop, train
from spatialembed.training.prepare import gather


def discs(count=4):
    y, x = np.mgrid[:64, :64]
    mask = np.zeros((64, 64), np.uint8)
    for k in range(count):
        center = 16 + 32 * (k // 2), 16 + 32 * (k % 2)
        mask[(y - center[0]) ** 2 + (x - center[1]) ** 2 <= 64] = k + 1
    return mask


def write(root, split, masks):
    for part in ("images", "masks"):
        (root / split / part).mkdir(parents=True, exist_ok=True)
    for k, mask in enumerate(masks):
        image = np.random.default_rng([k, len(split)]).integers(0, 99, mask.shape).astype(np.uint8)
        Image.fromarray(image).save(root / split / "images" / f"{k}.png")
        Image.fromarray(mask).save(root / split / "masks" / f"{k}.png")
    return root


@pytest.fixture
def data(tmp_path):
    write(tmp_path / "data", "train", [discs()] * 3)
    return write(tmp_path / "data", "val", [discs()] * 2)


def config(data, **options):
    return TrainConfig(data=data, out=data.parent / "run", device="cpu", **options)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-900])


def add_alpha(file):
    Image.open(file).convert("LA").save(file)


def make_color(file):
    Image.open(file).convert("RGB").save(file)


def crop(file):
    Image.open(file).crop((0, 0, 64, 60)).save(file)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (truncate, "cannot be read as an image"),
        (crop, "is 64x60, its truth .* is 64x64; make them one size"),
        (make_color, "has 3 channels, most training images have 1; convert it"),
    ],
)
def test_an_image_that_does_not_fit_is_named_before_the_first_step(
    data, monkeypatch, split, harm, sentence
):
    monkeypatch.setattr(loop, "start", None)  # what begins the steps
    file = data / split / "images" / "1.png"
    harm(file)
    with pytest.raises(UserError, match=f"^{re.escape(str(file))} {sentence}"):
        train(config(data))


def test_grey_with_alpha_is_grey(data):
    add_alpha(data / "val" / "images" / "1.png")
    assert gather(config(data)).spec.in_channels == 1


def test_the_usual_channels_are_those_of_most_images(data):
    for k in (1, 2):
        make_color(data / "train" / "images" / f"{k}.png")
    with pytest.raises(UserError, match=r"train/images/0\.png has 1 channel, .* \(and 2 more such"):
        gather(config(data))


def test_validation_needs_objects(data):
    write(data, "val", [discs(0)] * 2)
    with pytest.raises(UserError, match=r"no object in the 2 val images"):
        gather(config(data))


def test_validation_images_are_decoded_once(data, monkeypatch):
    gather(config(data))
    truncate(data / "train" / "images" / "0.png")
    reads = []
    monkeypatch.setattr("spatialembed.data.data_set.read_image", reads.append)
    with pytest.raises(AttributeError):  # what changed is read again
        gather(config(data))
    assert reads == [data / "train" / "images" / "0.png"]


def test_held_out_images_are_decoded_too(data):
    names = ["0", "1", "2"]
    for name in names:
        Image.fromarray(discs()).save(data / "train" / "images" / f"{name}.png")
    found = gather(config(data, validation="holdout", holdout=0.3))
    assert (len(found.train), len(found.val)) == (2, 1)


def test_images_without_objects_are_said_with_their_share_of_the_crops(data, capsys):
    write(data, "train", [discs()] * 3 + [discs(0)])
    same = StageConfig(steps=1)
    stages = [same, same, StageConfig(steps=1, background_share=0.1)]
    material = gather(config(data, stages=stages))
    expected = "1 of 4 training images have no object: 20 %, then 2.5 % of the crops show them"
    assert expected in capsys.readouterr().out
    drawn = material.cropper(stages[0], 0)
    names = [drawn.draw(number).name for number in range(200)]
    assert 20 < names.count("3") < 60


def test_specks_decide_neither_zoom_nor_crops(data):
    clean = gather(config(data, diameter=32.0))
    speckled = discs()
    speckled[::12, 63] = np.arange(10, 16)
    write(data, "train", [speckled] * 3)
    found = gather(config(data, diameter=32.0))
    assert found.spec.zoom == clean.spec.zoom
    assert found.spec.min_size == clean.spec.min_size
    assert found.index.label.max() == 4
    (warning,) = found.warnings
    assert warning.message.startswith("18 of 30 training objects are specks")
    assert clean.warnings == ()


def test_stray_pixels_of_an_object_do_not_decide_the_zoom(data):
    clean = gather(config(data, diameter=32.0))
    stray = discs()
    stray[0, 63] = 4
    stray[63, 0] = 1
    write(data, "train", [stray] * 3)
    assert gather(config(data, diameter=32.0)).spec.zoom == pytest.approx(clean.spec.zoom, rel=0.01)


def test_masks_of_a_class_are_named_before_the_first_step(data):
    write(data, "train", [np.where(discs() > 0, 255, 0).astype(np.uint8)] * 3)
    (warning,) = gather(config(data)).warnings
    assert warning.file == data / "train" / "masks" / "0.png"
    assert "a mask of the class" in warning.message


def test_validation_images_without_objects_are_said(data, capsys):
    write(data, "val", [discs(), discs(0), discs(0)])
    gather(config(data))
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of 3 validation images have no object: each counts 0 in the validation AP" in said


def test_of_few_images_without_a_val_split_none_is_said_to_be_of_validation(tmp_path, capsys):
    write(tmp_path / "data", "train", [discs(), discs(0)])
    gather(config(tmp_path / "data"), hold_out=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 2 training images have no object" in said
    assert "validation" not in said


def test_a_spacing_of_images_is_refused(data):
    with pytest.raises(UserError, match=r"--spacing is of volumes, and .* holds images: leave it"):
        gather(config(data, spacing=[1.0, 1.0, 1.0]))
