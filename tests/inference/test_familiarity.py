from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image
from test_predictor import Bright, bright, squares

from spatialembed.data import open_data
from spatialembed.errors import ImageWarning
from spatialembed.formats.results_folder import Results
from spatialembed.inference import familiarity
from spatialembed.inference.familiarity import other_kind, tell_of_parts
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.looks import look_at, usual_looks
from spatialembed.inference.predictor import Model
from spatialembed.inference.summary import cautions
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.looks import Look, Looks
from spatialembed.models.shipped import Shipped

USUAL = Looks(100, (0.0, 0.1), (0.0, 0.0), (0.8, 1.0), (0.2, 0.4), (0.9, 1.0))
OWN = Look(0.05, 0.1, 0.0, 0.9, 0.3, 0.95)
DARK = Look(0.9, 0.95, 0.0, 0.2, 0.9, 0.95)
"""Dark objects on a bright ground."""
MIDDLING = Look(0.4, 0.6, 0.0, 0.6, 0.9, 0.5)


def knowing(usual: Looks = USUAL, **changes) -> Model:
    spec = replace(bright().spec, training={"looks": asdict(usual)})
    return Model(TorchNetwork(Bright()), spec, "dots", **changes)


def look(image: np.ndarray, **changes) -> Look:
    model = bright(image.shape[2], **changes)
    output = model.raw(image)
    return look_at(model, image, output, model.cluster(output))


def test_bright_objects_on_a_dark_ground() -> None:
    found = look(squares())
    assert found[:4] == (0, 0, 0, 1)
    assert found.undecided == 0
    assert found.sureness == pytest.approx(1 / (1 + np.exp(-10)))


def test_an_inverted_image_looks_as_the_network_sees_it() -> None:
    assert look(255 - squares(), invert=True) == look(squares())
    assert look(255 - squares()).ground == 1


def test_where_nothing_is_there_is_nothing_to_tell_by() -> None:
    assert look(np.zeros((20, 30, 1), np.uint8)) == (0, 0, 0, None, None, None)


def test_color() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[:10, :, 1] = 255
    assert look(image).color == 0.5
    assert look(np.repeat(squares(), 3, 2)).color == 0


def test_equal_pixels_are_neither_brighter_nor_darker() -> None:
    model = bright()
    found = model.predict(squares())
    flat = np.full_like(squares(), 100)
    assert look_at(model, flat, model.raw(flat), found).contrast == 0.5


def test_large_images_are_told_by_a_sample() -> None:
    large = np.kron(squares()[..., 0], np.ones((20, 20), np.uint8))[..., None]
    small, found = look(squares()), look(large)
    np.testing.assert_allclose(found[:5], small[:5], atol=0.02)


def test_images_of_the_kind_are_not_warned_of() -> None:
    assert other_kind({"a": OWN, "b": OWN._replace(ground=0.5)}, knowing()) is None
    assert other_kind({"a": DARK}, bright()) is None  # it does not know what is usual
    assert other_kind({}, knowing()) is None
    ten = {f"{i}": OWN for i in range(9)} | {"x": DARK}
    assert other_kind(ten, knowing()) is None  # a tenth


def test_dark_objects_are_told_with_how_to_invert() -> None:
    said = other_kind({"a.png": DARK, "b.png": OWN, "c.png": DARK}, knowing())
    assert said.startswith(
        "2 of 3 images, a.png for one, are unlike those that dots was trained on"
    )
    assert "their ground is brighter: 0.90, in training 0.00 to 0.10" in said
    assert "what was found is darker than the rest: 0.20, in training 0.80 to 1.00" in said
    assert "is undecided: 0.90, in training 0.20 to 0.40" in said
    assert "add --invert if objects are dark, or" in said


def test_what_was_inverted_needlessly() -> None:
    assert "leave out --invert, or" in other_kind({"a": DARK}, knowing(invert=True))


def test_what_no_inversion_mends() -> None:
    said = other_kind({"a.png": MIDDLING}, knowing())
    assert said.startswith("a.png is unlike those")
    assert "invert" not in said
    assert "hardly brighter than the rest" in said
    assert "--diameter" in said
    assert "train a model" in said


def test_a_shipped_model_that_knows_such_images_is_named(monkeypatch) -> None:
    def model(name: str, ground: tuple[float, float], channels: int = 1) -> Shipped:
        notes = {"looks": asdict(replace(USUAL, ground=ground))}
        return Shipped(name, "", replace(bright(channels).spec, training=notes), 1.0)

    there = [model("light", (0.5, 0.9)), model("dim", (0, 0.1)), model("hues", (0.5, 0.9), 3)]
    monkeypatch.setattr(familiarity, "shipped", lambda: there)
    assert "a model that knows such images (light)" in other_kind({"a": DARK}, knowing())
    # What the network saw was inverted; another model would see the image as it is.
    inverted = DARK._replace(ground=0.05, light=0.1)
    assert "(light)" in other_kind({"a": inverted}, knowing(invert=True))


def test_a_model_of_many_kinds_hardly_warns() -> None:
    wide = Looks(100, (0.0, 0.9), (0.0, 0.4), (0.1, 1.0), (0.2, 0.8), (0.7, 1.0))
    assert other_kind({"a": DARK, "b": OWN}, knowing(wide)) is None


def write(folder, images) -> None:
    for name, image in images.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def test_one_sentence_a_run_and_none_about_sizes_then(tmp_path) -> None:
    write(tmp_path / "in", {"a": 255 - squares()[..., 0], "b": 200 - squares()[..., 0] // 2})
    notes = {"looks": asdict(replace(USUAL, contrast=(0.0, 0.1))), "diameters": (900, 1000)}
    model = Model(TorchNetwork(Bright()), replace(bright().spec, training=notes))
    results = Results(tmp_path / "out")
    outcomes = list(predict_files(model, find_images([tmp_path / "in"], results.out), results))
    [said] = cautions(outcomes, model)
    assert said.startswith(f"2 of 2 images, {tmp_path / 'in' / 'a.png'} for one, are unlike")
    unlooked = [outcome._replace(look=None) for outcome in outcomes]
    [said] = cautions(unlooked, model)
    assert "pixels across" in said


def test_parts_of_an_image_are_told_of_as_one(recwarn) -> None:
    tell_of_parts([OWN, DARK, OWN], knowing(), "big.zarr")
    tell_of_parts([], knowing(), "big.zarr")
    assert not recwarn
    nothing = Look(0.9, 0.9, 0.0, None, None, None)
    with pytest.warns(ImageWarning, match=r"big\.zarr: it is unlike those that dots"):
        tell_of_parts([nothing, DARK, DARK], knowing(), "big.zarr")


def test_what_is_usual_is_learned_from_images(tmp_path) -> None:
    for kind, value in (("images", 255), ("masks", 1)):
        write(tmp_path / "train" / kind, {f"{i}": squares()[..., 0] // 255 * value for i in "abc"})
    usual = usual_looks(bright(), open_data(tmp_path, "train", holdout=0.5))
    assert usual.ground == (0, 0)
    assert usual.contrast == (1, 1)
    model = knowing(usual)
    assert other_kind({"a": look(squares())}, model) is None
