"""Images are shown as large as those of training where both pixel sizes are known."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_predictor import bright, squares
from test_volume_results import SPEC as VOLUMES
from test_volume_results import Bright as BrightVolume
from test_volume_results import blocks

from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.reading import read_mask
from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model
from spatialembed.inference.summary import cautions, true_size
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.inference.true_size import Ratios, ratios_of

IMAGE = squares()[..., 0]


def knowing(size=0.5, **options) -> Model:
    """Trained at this pixel size on objects 10 pixels wide."""
    model = bright()
    spec = replace(model.spec, object_diameter=10.0, pixel_size=size)
    return Model(model.network, spec, "knowing", **options)


def written(path, size, unit="um"):
    how = {} if size is None else {"resolution": (1 / size, 1 / size), "metadata": {"unit": unit}}
    tifffile.imwrite(path, IMAGE, imagej=True, **how)
    return path


def predicted(model, path, out, formats=()):
    results = Results(out, formats)
    return list(predict_files(model, find_images([path], out), results))


def test_the_ratio_of_pixel_sizes_goes_over_the_zoom(tmp_path) -> None:
    model = knowing(0.5)
    model.spec = replace(model.spec, zoom=1.5, min_size=40)
    sized = model.for_image(str(written(tmp_path / "x.tif", 0.25)))
    assert (sized.zoom, sized.size_ratio, sized.settings()[2]) == (0.75, 0.5, 160)
    assert model.for_image(IMAGE, spacing=(1.0, 1.0)).zoom == 3.0
    assert model.for_image(IMAGE, spacing=(0.49999, 0.5)).zoom == 1.5
    assert model.for_image(IMAGE) is model  # an array that states nothing


def test_what_goes_before_it() -> None:
    assert knowing(0.5, diameter=5.0).for_image(IMAGE, spacing=(0.25, 0.25)).size_ratio == 2
    asked = knowing(0.5, pixel_size=2.0)  # before what the file states
    assert asked.for_image(IMAGE, spacing=(0.25, 0.25)).size_ratio == 4
    finding = knowing(0.5)
    finding.finds_size = True  # a size that is known is better than one that is found
    assert finding.for_image(IMAGE, spacing=(0.25, 0.25)).size_ratio == 0.5
    assert knowing(None).for_image(IMAGE, spacing=(0.25, 0.25)).size_ratio == 1
    assert ratios_of(knowing(0.5).spec, (0.25, 0.5)) is None  # no squares


def test_sizes_too_far_from_training_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match=r"pixels of 4\.5 µm, knowing was trained on 0\.5.*--dia"):
        knowing(0.5).for_image(IMAGE, spacing=(4.5, 4.5))
    outcomes = predicted(knowing(0.5), written(tmp_path / "x.tif", 0.05), tmp_path / "out")
    assert "x.tif has pixels of 0.05 µm" in outcomes[0].error
    assert not (tmp_path / "out" / "x.tif").exists()


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf")])
def test_pixel_sizes_that_are_none(size) -> None:
    with pytest.raises(UserError, match="micrometres above 0"):
        knowing(0.5, pixel_size=size)
    with pytest.raises(UserError, match="pixel_size is a number"):
        replace(knowing(0.5).spec, pixel_size=size)


def test_specs_have_a_pixel_size_or_none() -> None:
    spec = knowing(0.5).spec
    assert type(spec).from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    older = {k: v for k, v in spec.to_dict().items() if k != "pixel_size"}
    assert type(spec).from_dict(older).pixel_size is None
    with pytest.raises(UserError, match="pixel_size"):
        replace(spec, object_diameter=None)
    with pytest.raises(UserError, match="of volumes"):
        Model(TorchNetwork(BrightVolume()), VOLUMES, pixel_size=0.5)


def test_results_are_in_micrometres(tmp_path) -> None:
    pytest.importorskip("skimage")
    model, out = knowing(0.5), tmp_path / "out"
    outcomes = predicted(model, written(tmp_path / "x.tif", 0.25), out, ["measurements", "geojson"])
    assert pixel_size(out / "x.tif") == pytest.approx((0.25, 0.25))
    with (out / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        area = float(row["area"]) / 16
        assert float(row["area_um2"]) == pytest.approx(area, abs=1e-3)
        diameter = float(row["equivalent_diameter_um"])
        assert diameter == pytest.approx(np.sqrt(4 * area / np.pi), abs=1e-3)
    assert outcomes[0].ratios == Ratios(0.5)
    assert "1 image was shown to the model at 0.5 times the size" in true_size(outcomes, model)
    corners = json.loads((out / "x.geojson").read_text())["features"][0]["geometry"]["coordinates"]
    assert np.ptp(np.array(corners[0]), axis=0).max() > 5  # pixels


def test_without_a_pixel_size_results_are_as_before(tmp_path) -> None:
    pytest.importorskip("skimage")
    for name, model in (("plain", bright()), ("knows", knowing(0.5))):
        Image.fromarray(IMAGE).save(tmp_path / "x.png")
        outcomes = predicted(model, tmp_path / "x.png", tmp_path / name, ["measurements"])
        assert "area_um2" not in (tmp_path / name / "x.csv").read_text()
        told = " ".join(cautions(outcomes, model))
        assert ("does not state the size of its pixels" in told) == (name == "knows")
    files = [(tmp_path / name / "x.tif").read_bytes() for name in ("plain", "knows")]
    assert files[0] == files[1]
    # A pixel size that the model has nothing to compare with changes no pixel of the labels.
    predicted(bright(), written(tmp_path / "x.tif", 0.25), tmp_path / "stated")
    maps = [read_mask(tmp_path / name / "x.tif") for name in ("plain", "stated")]
    np.testing.assert_array_equal(*maps)


def test_what_is_said_of_a_size_that_was_asked_for(tmp_path) -> None:
    path, model = written(tmp_path / "x.tif", 0.25), knowing(None, pixel_size=0.5)
    outcomes = predicted(model, path, tmp_path / "out")
    assert pixel_size(tmp_path / "out" / "x.tif") == pytest.approx((0.5, 0.5))
    told = " ".join(cautions(outcomes, model))
    assert "its file states pixels of 0.25 µm; they are taken for 0.5, as asked" in told
    assert "does not know the pixel size of its training" in told
    with pytest.raises(UserError, match="pixel_size"):  # results of two settings
        predicted(knowing(None), path, tmp_path / "out")


def test_pixels_that_are_no_squares_are_told_of(tmp_path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, IMAGE, imagej=True, resolution=(4, 2), metadata={"unit": "um"})
    for number, (model, unless) in enumerate(((knowing(0.5), False), (knowing(None), True))):
        [note] = predicted(model, path, tmp_path / str(number))[0].notes
        assert note.startswith("its pixels are 0.5 µm high and 0.25 wide, no squares")
        assert ("unless images of training had such" in note) == unless
        assert "give --pixel_size" in note
    [note] = predicted(knowing(0.5, pixel_size=0.5), path, tmp_path / "asked")[0].notes
    assert note.startswith("its file states pixels of 0.5 x 0.25 µm; they are taken for 0.5")
    [note] = predicted(knowing(0.5, diameter=9.0), path, tmp_path / "wide")[0].notes
    assert "no squares" in note


def test_volumes_are_shown_with_voxels_as_in_training() -> None:
    spec = replace(VOLUMES, object_diameter=6.0, training={"spacing_stated": True})
    model = Model(TorchNetwork(BrightVolume()), spec)
    assert ratios_of(spec, (0.5, 0.1, 0.125)) == Ratios(0.5)
    assert ratios_of(spec, (0.54, 0.2, 0.25)) == Ratios(1.0)  # a tenth
    assert ratios_of(spec, (0.5, 0.25, 0.2)) is None
    assert ratios_of(VOLUMES, (0.5, 0.1, 0.125)) is None  # in proportion, it may be
    deep = model.for_image(blocks(), spacing=(1.0, 0.2, 0.25))
    assert (deep.size_ratio, deep.depth_ratio) == (1.0, 2.0)
    voxels = blocks()[..., None]
    seen = deep.prepared(voxels)
    assert seen.shape == (1, 16, 40, 48)
    assert deep.geometry(voxels.shape[:3])["pitch"] == pytest.approx(
        (*spec.pitch[:2], 2 * spec.pitch[2])
    )
    assert deep.raw(voxels).shape == (5, 8, 40, 48)
    found = deep.predict(voxels)
    np.testing.assert_array_equal(found.label_map > 0, blocks() > 0)
    flat = model.for_image(blocks(), spacing=(0.25, 0.2, 0.25))
    assert flat.prepared(voxels).shape == (1, 4, 40, 48)
    assert flat.settings()[2] == 2 * spec.min_size
