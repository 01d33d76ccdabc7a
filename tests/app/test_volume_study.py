"""Volumes on the page: shown plane by plane, cut along any axis, bounded; by an ideal network."""

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from spatialembed.app import study as of_study
from spatialembed.app.kept import Kept
from spatialembed.app.study import study, write_results
from spatialembed.app.web_page import _again, _files, _middle, _take, build
from spatialembed.data.images.reading import read_stack_mask, stack_spacing
from spatialembed.embedding import PITCH, margin_to_sigma
from spatialembed.errors import UserError
from spatialembed.inference.predictor import Model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec
from spatialembed.pictures import VIEWS

SPACING = (0.5, 0.25, 0.25)
CENTERS = (3, 12, 15), (4, 30, 40), (9, 12, 40)
SHAPE = 14, 44, 56


class Ideal:
    """What is bright and in one piece is an object; every voxel of it points to its middle."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        self.calls += 1
        labels, count = ndimage.label(volume[0] > 0.5)
        output = np.zeros((7, *labels.shape), np.float32)
        grid = np.indices(labels.shape)
        for k, middle in enumerate(ndimage.center_of_mass(labels, labels, range(1, count + 1)), 1):
            for d, axis in enumerate((2, 1, 0)):  # x, y, z
                away = (middle[axis] - grid[axis]) * PITCH * (2 if axis == 0 else 1)
                output[d][labels == k] = np.arctanh(away)[labels == k]
        for d, pitch in enumerate((PITCH, PITCH, 2 * PITCH)):
            output[3 + d] = margin_to_sigma(6 / (1 + (d == 2)), pitch)
        output[6] = np.where(labels > 0, 5, -5)
        return output


def seeing(in_channels: int = 1) -> Model:
    spec = ModelSpec(
        "residual_unet",
        in_channels=in_channels,
        dims=3,
        n_sigma=3,
        pitch=(PITCH, PITCH, 2 * PITCH),
        spacing=SPACING,
        normalization=Normalization("range"),
    )
    return Model(Ideal(), spec, "balls")


def balls() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    voxels = np.full(SHAPE, 3, np.uint8)
    for cz, cy, cx in CENTERS:
        voxels[4 * (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 26] = 250
    return voxels


def written(folder, name: str = "a.tif", spacing=SPACING):
    path = folder / name
    z, y, x = spacing
    said = {"axes": "ZYX", "spacing": z, "unit": "um"}
    tifffile.imwrite(path, balls(), imagej=True, resolution=(1 / x, 1 / y), metadata=said)
    return path


def test_a_study_of_a_stack_runs_the_network_once_and_states_its_spacing(tmp_path) -> None:
    model, path = seeing(), written(tmp_path)
    given = study(model, path)
    assert (given.is_volume, given.size, given.note) == (True, "56 × 44 × 14 voxels", "")
    assert len(given.found((0.9, 0.5, 16))) == 3
    assert len(given.found((0.9, 0.5, 10_000))) == 0
    found = given.found((0.9, 0.5, 16))
    assert given.found((0.9, 0.5, 16)) is found
    assert model.network.calls == 1
    labels, table = write_results(tmp_path / "out", given, found)
    np.testing.assert_array_equal(read_stack_mask(labels), found.label_map)
    np.testing.assert_allclose(stack_spacing(labels), SPACING)
    header, *rows = table.read_text().splitlines()
    assert "volume_um3" in header
    assert len(rows) == 3


def test_planes_and_cuts_show_the_volume_s_objects_in_its_proportions(tmp_path) -> None:
    model, kept = seeing(), Kept()
    token, *_ = _take(model, kept, None, str(written(tmp_path)))
    settings = (0.9, 0.5, 16)
    found = kept.get(token).found(settings)
    for axis, (count, box) in enumerate([(14, "56 44"), (44, "56 14"), (56, "44 14")]):
        slider = _middle(kept, token, axis)
        assert (slider["maximum"], slider["value"]) == (count - 1, count // 2)
        for at in range(count):
            said, html = _again(kept, token, "instances", *settings, axis, at)
            cut = np.unique(np.take(found.label_map, at, axis))[1:]
            assert said == (
                f"**3** found in a, 56 × 44 × 14 voxels; **{len(cut)}** of them "
                f"at {'zyx'[axis]} = {at}"
            )
            assert f'viewBox="0 0 {box}"' in html
            for k in cut:
                assert f"object {k} · score 0.993 · {found.areas[k - 1]:,} voxels" in html
            assert html.count("<path") == len(cut)
    assert model.network.calls == 1


def test_every_view_of_a_cut_is_a_picture_of_its_own(tmp_path) -> None:
    given = study(seeing(), written(tmp_path))
    at = of_study.Plane(1, 12)  # through two balls
    explanation = given.explanation((0.9, 0.5, 16), at)
    height, width = explanation.picture("image").shape[:2]
    assert width / height == pytest.approx(56 / (2 * 14))  # planes are twice as far apart
    pictures = [explanation.picture(view) for view in VIEWS]
    for k, picture in enumerate(pictures):
        assert picture.shape[1] / picture.shape[0] == pytest.approx(2)
        assert all(not np.array_equal(picture, other) for other in pictures[:k])
    moved = given.explanation((0.95, 0.5, 16), at)
    assert moved.volume is not explanation.volume
    assert moved.volume.rgb is explanation.volume.rgb  # which no threshold changes


def test_downloads_and_a_stack_that_was_put_away(tmp_path) -> None:
    kept = Kept()
    token, *_ = _take(seeing(), kept, None, str(written(tmp_path)))
    assert all(file["interactive"] for file in _files(kept, token, 0.9, 0.5, 16))
    before = kept.get(token).nbytes
    _again(kept, token, "image", 0.9, 0.5, 16, 2, 99)  # a slider of the axis before
    assert kept.get(token).nbytes == before + 3 * np.prod(SHAPE)
    kept.drop(token)
    assert _middle(kept, token, 0)["interactive"] is False


def test_what_is_no_stack_or_too_large_is_refused_in_a_sentence(tmp_path, monkeypatch) -> None:
    model, kept = seeing(), Kept()
    tifffile.imwrite(tmp_path / "flat.tif", balls()[3])
    (tmp_path / "notes.tif").write_text("nothing")
    (tmp_path / "notes.txt").write_text("nothing")
    told = {
        "flat.tif": "flat.tif is no stack of planes in z",
        "notes.tif": "notes.tif",
        "notes.txt": "notes.txt is no TIFF",
    }
    for name, reason in told.items():
        with pytest.raises(UserError) as error:
            study(model, tmp_path / name)
        assert reason in str(error.value)
        assert str(tmp_path) not in str(error.value)
    monkeypatch.setattr(of_study, "MOST_MEGAPIXELS", 0.03)
    token, said, *_ = _take(model, kept, None, str(written(tmp_path)))
    assert token is None
    assert "million voxels, this page takes up to" in said
    assert "spatialembed predict" in said
    assert model.network.calls == 0


def test_other_proportions_are_said(tmp_path) -> None:
    kept = Kept()
    token, *_ = _take(seeing(), kept, None, str(written(tmp_path, spacing=(1, 0.25, 0.25))))
    said, _ = _again(kept, token, "instances", 0.9, 0.5, 16, 0, 3)
    assert "its voxels are 1 x 0.25 x 0.25 µm (z, y, x), those of training 0.5" in said


def test_a_stack_of_channels_is_shown_and_one_of_others_refused(tmp_path) -> None:
    two = np.stack([balls(), balls()[::-1]], 1)
    tifffile.imwrite(tmp_path / "two.tif", two, photometric="minisblack", metadata={"axes": "ZCYX"})
    with pytest.raises(UserError, match=r"two\.tif has 2"):
        study(seeing(), tmp_path / "two.tif")
    kept = Kept()
    token, *_ = _take(seeing(in_channels=2), kept, None, str(tmp_path / "two.tif"))
    picture = kept.get(token).explanation((0.9, 0.5, 16), of_study.Plane(0, 3)).picture("image")
    assert not (picture[..., 0] == picture[..., 1]).all()  # each channel in a hue of its own
    assert kept.get(token).spacing is None


def test_a_page_of_volumes_has_a_slider_through_them() -> None:
    labels = [block.label for block in build(seeing()).blocks.values() if hasattr(block, "label")]
    assert "Stack, up to 25 million voxels" in labels
    assert "Plane, from 0" in labels
