"""Volumes past memory: the labels of the whole, where its voxels lie, whatever happens."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from pointing import Pointing, pointing_image
from test_seams import same_objects

from spatialembed.errors import ImageWarning, UserError
from spatialembed.inference.channels import fitting_parts
from spatialembed.large import Workers, predict_large
from spatialembed.large import image as large_image
from spatialembed.large.labels import flat_of
from spatialembed.large.mosaic import Mosaic
from spatialembed.large.segment import open_image

zarr = pytest.importorskip("zarr")
pytest.importorskip("distributed")

SHAPE = (40, 90, 100)
MOSAIC = Mosaic(SHAPE, (32, 64, 64), (32, 32, 32))
UNITS = {"z": "micrometer", "y": "micrometer", "x": "micrometer"}


def store(path: Path, volume: np.ndarray, scale=(0.4, 0.15, 0.15), axes: str = "zyxc") -> Path:
    """A volume as an OME-Zarr image of axes in any order."""
    said = [
        {"name": axis, "type": "space", "unit": UNITS[axis]}
        if axis in UNITS
        else {"name": axis, "type": "channel"}
        for axis in axes
    ]
    steps = dict(zip("zyx", scale, strict=True))
    changes = [{"type": "scale", "scale": [steps.get(axis, 1.0) for axis in axes]}]
    level = {"path": "0", "coordinateTransformations": changes}
    scales = {"version": "0.5", "multiscales": [{"axes": said, "datasets": [level]}]}
    group = zarr.create_group(path, attributes={"ome": scales})
    voxels = volume.transpose(["zyxc".index(axis) for axis in axes])
    group.create_array("0", data=voxels, chunks=(16,) * volume.ndim)
    return path


def test_a_volume_becomes_the_labels_of_the_whole_although_a_worker_dies(tmp_path) -> None:
    volume = pointing_image(SHAPE, 0)
    volume[35, 70, 60] = 1  # where the worker dies, in what several tiles see
    source = Pointing(tmp_path / "died", dims=3)
    whole = Pointing(tmp_path, dims=3).load().predict(volume)
    path, out = store(tmp_path / "a.zarr", volume, axes="czyx"), tmp_path / "labels.zarr"
    count = predict_large(source, path, out, Workers(2), mosaic=MOSAIC)
    assert source.once.exists()
    group = zarr.open_group(out, mode="r")
    labels = group["0"][:]
    assert count == labels.max() == len(whole) == group["instances/score"].shape[0]
    assert same_objects(labels, whole.label_map)
    ids, first = np.unique(labels, return_index=True)
    order = whole.label_map.ravel()[first[1:]] - 1
    np.testing.assert_array_equal(group["instances/score"][:][ids[1:] - 1], whole.scores[order])
    np.testing.assert_array_equal(group["instances/box"][:][ids[1:] - 1], whole.boxes[order])
    _check_ome(group, labels)


def _check_ome(group, labels: np.ndarray) -> None:
    """Planes are halved until voxels are about cubes, then all."""
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    assert "image-label" in ome
    [scales] = ome["multiscales"]
    assert [axis["name"] for axis in scales["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in scales["axes"]} == {"micrometer"}
    assert len(scales["datasets"]) == 6
    for level, entry in enumerate(scales["datasets"]):
        z, plane = 2 ** max(0, level - 1), 2**level
        array = group[entry["path"]]
        assert array.metadata.dimension_names == ("z", "y", "x")
        np.testing.assert_array_equal(array[:], labels[::z, ::plane, ::plane])
        [scale] = entry["coordinateTransformations"]
        assert scale["scale"] == pytest.approx([0.4 * z, 0.15 * plane, 0.15 * plane])


@pytest.mark.parametrize(
    ("spacing", "flat"),
    [((1, 1, 1), 0), ((0.4, 0.15, 0.15), 1), ((2, 0.5, 0.5), 2), ((0.1, 1, 1), 0), ((99, 1, 1), 5)],
)
def test_levels_that_leave_z_alone(spacing, flat) -> None:
    assert flat_of(spacing) == flat


def test_it_goes_on_from_where_it_was_stopped(there, tmp_path, monkeypatch) -> None:
    volume = pointing_image(SHAPE, 7)
    path, out = store(tmp_path / "a.zarr", volume), tmp_path / "labels.zarr"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(large_image, "make_labels", stop)
        with pytest.raises(KeyboardInterrupt):
            predict_large(Pointing(dims=3), path, out, there, mosaic=MOSAIC)
    objects = tmp_path / "labels.zarr.part" / "objects"
    lost = objects / "3.npz"
    lost.unlink()
    before = {file.name: file.stat().st_mtime_ns for file in objects.iterdir()}
    monkeypatch.setattr(large_image, "_remove", lambda folder: None)
    predict_large(Pointing(dims=3), path, out, there)  # with the tiles of the run under way
    after = {file.name: file.stat().st_mtime_ns for file in objects.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {"3.npz"}
    labels = zarr.open_group(out, mode="r")["0"][:]
    assert same_objects(labels, Pointing(dims=3).load().predict(volume).label_map)


def test_a_tiff_states_its_spacing(there, tmp_path) -> None:
    volume = pointing_image(SHAPE, 3)
    path, out = tmp_path / "a.ome.tif", tmp_path / "labels.zarr"
    said = {"axes": "ZCYX", "PhysicalSizeZ": 2.0, "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.5}
    tifffile.imwrite(
        path, np.moveaxis(volume, -1, 1), photometric="minisblack", metadata=said,
        tile=(32, 48), compression="zlib",
    )  # fmt: skip
    predict_large(Pointing(dims=3), path, out, there, mosaic=MOSAIC)
    group = zarr.open_group(out, mode="r")
    assert same_objects(group["0"][:], Pointing(dims=3).load().predict(volume).label_map)
    [scales] = group.attrs["ome"]["multiscales"]
    assert {axis["unit"] for axis in scales["axes"]} == {"micrometer"}
    steps = [level["coordinateTransformations"][0]["scale"] for level in scales["datasets"]]
    assert steps[0] == [2.0, 0.5, 0.5]
    assert steps[2] == [2.0, 2.0, 2.0]
    assert steps[3] == [4.0, 4.0, 4.0]


def test_a_part_that_is_damaged_is_named(there, tmp_path) -> None:
    path, out = store(tmp_path / "a.zarr", pointing_image(SHAPE, 5)), tmp_path / "labels.zarr"
    chunk = path / "0" / "c" / "2" / "5" / "6" / "0"
    chunk.write_bytes(chunk.read_bytes()[:10])
    with pytest.raises(UserError, match=r"4 of 8 parts .* planes 0 to 32, rows 0 to 64, columns"):
        predict_large(Pointing(dims=3), path, out, there, mosaic=MOSAIC)
    assert not out.exists()


class Trained(Pointing):
    """The same by a model that knows how far the voxels of its training volumes lay apart."""

    def load(self):
        model = super().load()
        object.__setattr__(model.spec, "spacing", (1.0, 1.0, 1.0))
        return model


def test_voxels_of_other_proportions_are_told(tmp_path) -> None:
    path, out = store(tmp_path / "a.zarr", pointing_image((20, 30, 30), 5)), tmp_path / "out.zarr"
    (tmp_path / "out.zarr.part").mkdir()
    (tmp_path / "out.zarr.part" / "work.sqlite").write_text("none")  # where it ends
    with (
        pytest.warns(ImageWarning, match=r"a\.zarr: its voxels are 0\.4 x 0\.15 x 0\.15"),
        pytest.raises(UserError, match="cannot be used as the table"),
    ):
        predict_large(Trained(dims=3), path, out, Workers(1))


class Grey(Pointing):
    """The same by a model that says that it takes one channel."""

    def load(self):
        model = super().load()
        object.__setattr__(model.spec, "in_channels", 1)
        return model


@pytest.mark.parametrize("channels", [3, 4])
def test_channels_that_are_too_many_are_refused_before_a_tile_is_begun(tmp_path, channels) -> None:
    volume = pointing_image((20, 30, 30), 5)[..., :channels]
    path, out = store(tmp_path / "a.zarr", volume), tmp_path / "labels.zarr"
    with pytest.raises(UserError, match=rf"expects 1 channel, .*a\.zarr has {channels}: name") as e:
        predict_large(Grey(dims=3), path, out, Workers(1))
    assert "parts of the image failed" not in str(e.value)
    assert not list(tmp_path.glob("labels*"))


def _arrays(folder: Path) -> dict[str, Path]:
    """What is no volume, or does not say so."""
    made = {}
    for name, shape, names in (
        ("image", (30, 40, 3), ("y", "x", "c")),
        ("unnamed", (20, 30, 40), None),
        ("times", (5, 20, 30, 40), ("t", "z", "y", "x")),
        ("plane", (1, 30, 40), ("z", "y", "x")),
        ("volume", (20, 30, 40), ("z", "y", "x")),
    ):
        made[name] = folder / f"{name}.zarr"
        zarr.create_array(made[name], data=np.ones(shape, np.uint8), dimension_names=names)
    made["planes"] = folder / "planes"
    made["planes"].mkdir()
    for number in range(3):
        tifffile.imwrite(made["planes"] / f"z{number}.tif", np.ones((30, 40), np.uint8))
    made["stack"] = folder / "stack.tif"
    tifffile.imwrite(made["stack"], np.ones((5, 30, 40), np.uint8), metadata={"axes": "ZYX"})
    return made


@pytest.mark.parametrize(
    ("dims", "name", "message"),
    [
        (3, "image", r"is no stack of planes in z.* give an image to a model of images"),
        (3, "unnamed", r"does not say what the axes .*dimension_names such as z, y, x"),
        (3, "times", r"is no stack of planes in z.* store times as separate arrays"),
        (3, "plane", r"is no stack of planes in z"),
        (3, "planes", r"cannot be read in parts; .* store it as OME-Zarr"),
        (3, "volume", r"expects 4 channels, .* has 1"),
        (2, "volume", r"is a stack of shape .* by a model of volumes"),
        (2, "stack", r"is a stack of shape .* by a model of volumes"),
    ],
)
def test_wrong_axes_are_refused(tmp_path, dims, name, message) -> None:
    path, out = _arrays(tmp_path)[name], tmp_path / "labels.zarr"
    with pytest.raises(UserError, match=message) as error:
        predict_large(Pointing(dims=dims), path, out, Workers(1))
    assert path.name in str(error.value)
    assert not list(tmp_path.glob("labels*"))


def test_one_plane_in_color_makes_a_volume_one_in_color_before_any_work(tmp_path) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (20, 40, 40, 1), np.uint8).repeat(3, -1)
    volume[17, 30, 31] = 1, 2, 3  # neither in the middle nor in the first tile
    path = store(tmp_path / "a.zarr", volume)
    source = Grey(dims=3)
    with pytest.raises(UserError, match=r"expects 1 channel, .*a\.zarr has 3") as whole:
        source.load().predict(path)
    with pytest.raises(UserError, match=r"expects 1 channel, .*a\.zarr has 3") as by_parts:
        predict_large(source, path, tmp_path / "labels.zarr", Workers(1))
    assert str(whole.value) == str(by_parts.value)
    assert not list(tmp_path.glob("labels*"))
    volume[17, 30, 31] = 1
    store(tmp_path / "grey.zarr", volume)
    reader = fitting_parts("m", source.load().spec, open_image(tmp_path / "grey.zarr", dims=3))
    assert reader.channels == 1
    np.testing.assert_array_equal(reader.read(*map(slice, (20, 40, 40))), volume[..., :1])
