"""The command line on generated volumes, by a network of a few weights."""

import json
import shutil

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from test_cli import errors_of

from spatialembed.cli.main import main
from spatialembed.data.images.reading import read_stack_mask, stack_spacing
from spatialembed.demo.volumes import write_volumes
from spatialembed.models.checkpoint import load_model
from spatialembed.training import run as training_run

SPACING = (0.8, 0.3, 0.3)
TINY = [
    "--network_options", '{"widths": [4, 6], "blocks": [1, 1], "fine": 2}',
    "--device", "cpu", "--workers", "0", "--diameter", "12",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two volumes of each split, (14, 40, 44)."""
    root = tmp_path_factory.mktemp("volumes") / "data"
    write_volumes(root, 2, 1, 1, shape=(14, 40, 44), spacing=SPACING)
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Trained for three steps."""
    out = tmp_path_factory.mktemp("runs") / "run"
    asked = ["--config", "volumes", "--out", out, "--steps", "3", "--batch", "2", *TINY]
    assert main([str(one) for one in ("train", data, *asked)]) == 0
    return out


def test_train(run, data) -> None:
    _, spec = load_model(run)
    assert spec.dims == 3
    assert spec.spacing == pytest.approx(SPACING)
    assert spec.training["spacing_stated"]
    assert spec.n_sigma == 3
    x, y, z = spec.pitch
    assert x == pytest.approx(y)
    assert z / x == pytest.approx(0.8 / 0.3 * spec.zoom, rel=1e-4)
    widths = 12 / spec.zoom
    assert spec.object_diameter == pytest.approx(widths, rel=0.01)
    assert list((run / "pictures").glob("*.png"))


def test_a_run_is_resumed_to_the_same_weights(data, tmp_path, monkeypatch, capsys) -> None:
    out, middle = tmp_path / "run", tmp_path / "middle"
    save = training_run.save_checkpoint

    def saved(folder, config, state) -> None:
        save(folder, config, state)
        if state["step"] == 1 and not middle.exists():
            shutil.copytree(folder, middle)

    monkeypatch.setattr(training_run, "save_checkpoint", saved)
    asked = ["train", str(data), "--config", "volumes", "--batch", "2", *TINY, "--steps", "2"]
    assert main([*asked, "--out", str(out)]) == 0
    assert "add --resume" in errors_of(capsys, *asked, "--out", out)
    assert main([*asked, "--out", str(middle), "--resume"]) == 0
    whole, resumed = (load_model(folder) for folder in (out, middle))
    assert whole[1] == resumed[1]
    others = resumed[0].state_dict()
    assert all(torch.equal(value, others[key]) for key, value in whole[0].state_dict().items())


def test_predict(run, data, tmp_path, capsys) -> None:
    images, out = data / "test" / "images", tmp_path / "found"
    settings = ["--seed_threshold", "0", "--foreground_threshold", "0.2", "--min_size", "1"]
    assert main(["predict", str(run), str(images), "--out", str(out), *settings]) == 0
    assert "1 volumes" in capsys.readouterr().out
    with tifffile.TiffFile(out / "volume_000.tif") as file:
        assert file.series[0].axes == "ZYX"
        labels = file.asarray()
    assert labels.shape == (14, 40, 44)
    assert labels.dtype.kind in "iu"
    ids = np.unique(labels)
    np.testing.assert_array_equal(ids, np.arange(len(ids)))
    np.testing.assert_array_equal(read_stack_mask(out / "volume_000.tif"), labels)
    assert main(["predict", str(run), str(images), "--out", str(out), *settings]) == 0
    assert "1 kept" in capsys.readouterr().out


def test_an_ome_zarr_is_a_volume(run, data, tmp_path) -> None:
    zarr, out = pytest.importorskip("zarr"), tmp_path / "found"
    voxels = tifffile.imread(data / "test" / "images" / "volume_000.tif")
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    said = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group.attrs.update({"multiscales": [said]})
    group.create_array("0", data=voxels, chunks=(7, 20, 22))
    stack = data / "test" / "images" / "volume_000.tif"
    settings = ["--seed_threshold", "0", "--foreground_threshold", "0.2", "--no_overlay"]
    given = [str(stack), str(tmp_path / "a.zarr"), "--out", str(out)]
    assert main(["predict", str(run), *given, *settings]) == 0
    labels = [tifffile.imread(out / f"{name}.tif") for name in ("a", "volume_000")]
    np.testing.assert_array_equal(*labels)


def test_symmetries_and_a_diameter(run, data, tmp_path) -> None:
    image, out = data / "test" / "images" / "volume_000.tif", tmp_path / "found"
    asked = ["predict", str(run), str(image), "--out", str(out), "--no_overlay"]
    assert main([*asked, "--symmetries", "--diameter", "20"]) == 0
    assert json.loads((out / "settings.json").read_text())["symmetries"] == 8
    assert (out / "volume_000.tif").is_file()


def test_a_spacing_that_no_file_states_is_asked_for(run, data, tmp_path, capsys) -> None:
    stack, planes = data / "test" / "images" / "volume_000.tif", tmp_path / "in" / "planes"
    planes.mkdir(parents=True)
    for z, plane in enumerate(tifffile.imread(stack)):
        tifffile.imwrite(planes / f"z{z:02}.tif", plane)
    out, of = tmp_path / "out", ["--spacing", *SPACING]
    asked = ["--no_overlay", "--seed_threshold", "0", "--foreground_threshold", "0.2"]
    assert main([*map(str, ("predict", run, planes, "--out", out, *asked))]) == 0
    assert "give it to predict with --spacing Z Y X" in capsys.readouterr().err
    assert main([*map(str, ("predict", run, planes, "--out", out, *asked, *of))]) == 1
    told = capsys.readouterr().err
    assert "made with spacing None (now [0.8, 0.3, 0.3]); add --overwrite" in told
    given = ("predict", run, planes, stack, "--out", out, *asked, *of, "--overwrite")
    assert main([*map(str, given)]) == 0
    assert "state" not in capsys.readouterr().err
    one, other = (out / f"{name}.tif" for name in ("planes", "volume_000"))
    assert stack_spacing(one) == stack_spacing(other) == pytest.approx(SPACING)
    np.testing.assert_array_equal(tifffile.imread(one), tifffile.imread(other))
    given = ("predict", run, stack, "--out", tmp_path / "2", *asked, "--spacing", 1, 0.6, 0.6)
    assert main([*map(str, given)]) == 0
    told = capsys.readouterr().err
    assert "its file states 0.8 x 0.3 x 0.3 µm; its voxels are taken for 1 x 0.6 x 0.6 µm" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--spacing", "1", "2"], "a number above 0 for each axis, along z, y and x, not"),
        (["--spacing", "1", "1", "0"], "a number above 0 for each axis"),
        (["--spacing", "1", "1", "1", "--out", "x.zarr"], "leave --spacing out"),
        (["--spacing", "1", "1", "1", "--pixel_size", "2"], "leave --pixel_size out"),
    ],
)
def test_spacings_that_cannot_be(run, data, tmp_path, capsys, monkeypatch, options, told) -> None:
    monkeypatch.chdir(tmp_path)
    stack = data / "test" / "images" / "volume_000.tif"
    assert told in errors_of(capsys, "predict", run, stack, *options)
    assert not list(tmp_path.iterdir())


def test_a_spacing_is_of_stacks(data, tmp_path, capsys) -> None:
    asked = ["predict", "nuclei", data, "--out", tmp_path / "out", "--spacing", "1", "1", "1"]
    assert "of images give --pixel_size instead, of stacks --stitch, too" in errors_of(
        capsys, *asked
    )
    stack = data / "test" / "images" / "volume_000.tif"
    assert main([*map(str, (*asked[:2], stack, *asked[3:], "--stitch", "--no_overlay"))]) == 0
    assert stack_spacing(tmp_path / "out" / "volume_000.tif") == (1, 1, 1)


def test_evaluate(run, data, tmp_path, capsys) -> None:
    out = tmp_path / "evaluation"
    asked = ["evaluate", str(run), str(data), "--out", str(out), "--pictures", "1"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "mean over volumes" in said
    assert "test, 1 volumes; SEG" in said
    assert "an earlier evaluation" not in said
    assert main(asked) == 0
    assert "In place of an earlier evaluation; another --out keeps both" in capsys.readouterr().out
    written = json.loads((out / "evaluation.json").read_text())
    assert written["split"] == "test"
    assert [row["name"] for row in written["images"]] == ["volume_000"]
    truth = read_stack_mask(data / "test" / "masks" / "volume_000.tif")
    assert written["images"][0]["n_true"] == len(np.unique(truth)) - 1
    page = (out / "page.html").read_text()
    assert "<h2>Volumes, worst first</h2>" in page
    assert "mean over volumes" in page
    assert "volume_000" in page
    (worst,) = (out / "worst").iterdir()
    with Image.open(worst) as picture:
        assert min(picture.size) > 40


def test_evaluate_tells_of_other_voxels(run, tmp_path, capsys) -> None:
    write_volumes(tmp_path / "data", 1, 1, 2, shape=(14, 40, 44), spacing=(0.3, 0.3, 0.3))
    asked = ["--out", str(tmp_path / "scaled"), "--pictures", "0"]
    assert main(["evaluate", str(run), str(tmp_path / "data"), *asked]) == 0
    heard = capsys.readouterr()
    said = " ".join((heard.out + heard.err).split())
    assert "2 volumes were shown to the model 1 times as large in planes and 0.375 times as" in said
    asked = ["--out", str(tmp_path / "out"), "--pictures", "0", "--diameter", "10"]
    assert main(["evaluate", str(run), str(tmp_path / "data"), *asked]) == 0
    heard = capsys.readouterr()
    said = " ".join((heard.out + heard.err).split())
    assert "its voxels are 0.3 x 0.3 x 0.3" in said
    assert said.count("(2 such volumes)") == 1
    assert "with seed_threshold" in said


def test_what_is_not_of_volumes_is_refused(run, data, tmp_path, capsys) -> None:
    stack = data / "test" / "images" / "volume_000.tif"
    out = tmp_path / "found"
    assert "leave --stitch out" in errors_of(
        capsys, "predict", run, stack, "--out", out, "--stitch"
    )
    said = errors_of(capsys, "predict", run, stack, "--out", out, "--format", "coco")
    assert "format coco is of images" in said
    assert not list(out.glob("*.tif"))


def test_a_volume_past_memory_has_the_labels_of_the_whole(run, data, tmp_path, capsys) -> None:
    zarr = pytest.importorskip("zarr")
    stack, labels = data / "test" / "images" / "volume_000.tif", tmp_path / "labels.zarr"
    settings = ["--seed_threshold", "0", "--foreground_threshold", "0.2", "--min_size", "1"]
    assert main(["predict", str(run), str(stack), "--out", str(tmp_path), *settings]) == 0
    whole = tifffile.imread(tmp_path / "volume_000.tif")
    asked = ["predict", str(run), str(stack), "--out", str(labels), "--workers", "1", *settings]
    assert main(asked) == 0
    said = capsys.readouterr()
    assert f"{whole.max()} instances in" in said.out
    assert said.err.splitlines()[0] == f"{stack}: 44 x 40 x 14 in 1 tile, by 1 process"
    group = zarr.open_group(labels, mode="r")
    np.testing.assert_array_equal(group["0"][:], whole)
    assert group["instances/box"].shape == (whole.max(), 6)
    [scales] = group.attrs["ome"]["multiscales"]
    steps = scales["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert steps == pytest.approx(SPACING)
    assert "is there already; add --overwrite" in errors_of(capsys, *asked)


def test_a_folder_of_planes_is_no_volume_past_memory(run, data, tmp_path, capsys) -> None:
    out = tmp_path / "labels.zarr"
    said = errors_of(capsys, "predict", run, data / "test" / "images", "--out", out)
    assert "folder of planes as a TIFF stack or OME-Zarr" in said
    assert not list(tmp_path.glob("labels*"))


def test_an_image_is_no_volume_past_memory(run, flat, tmp_path, capsys) -> None:
    image, out = next((flat / "train" / "images").iterdir()), tmp_path / "labels.zarr"
    said = errors_of(capsys, "predict", run, image, "--out", out)
    assert f"{image.name} is no TIFF, OME-Zarr, file of a microscope or folder of planes" in said
    assert not list(tmp_path.glob("labels*"))


def test_images_are_refused_by_a_model_of_volumes(run, flat, tmp_path, capsys) -> None:
    image = next((flat / "train" / "images").iterdir())
    said = errors_of(capsys, "predict", run, image, "--out", tmp_path / "found")
    assert image.name in said
    assert "holds images" in errors_of(capsys, "evaluate", run, flat, "--split", "train")


@pytest.fixture
def flat(tmp_path):
    """Images, of one split."""
    for k in range(3):
        for kind in ("images", "masks"):
            path = tmp_path / "flat" / "train" / kind / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            array = np.zeros((24, 32), np.uint8)
            array[4:12, 5:15] = 200 + k if kind == "images" else 1
            Image.fromarray(array).save(path)
    return tmp_path / "flat"


def test_volumes_in_folders_of_planes(data, run, tmp_path, capsys) -> None:
    for file in sorted((data / "test").glob("*/*.tif")):
        folder = tmp_path / "planes" / "train" / file.parent.name / file.stem
        folder.mkdir(parents=True)
        for z, plane in enumerate(tifffile.imread(file)):
            tifffile.imwrite(folder / f"{z}.tif", plane)
    root = tmp_path / "planes"
    assert main(["check", str(root)]) == 0
    assert "train: 1 volume, " in capsys.readouterr().out.replace("volumes", "volume")
    asked = ["--out", tmp_path / "run", "--steps", "1", "--device", "cpu"]
    said = errors_of(capsys, "train", root, "--config", "nuclei", *asked)
    assert "volume_000 are its planes; move images of their own into" in said
    settings = ["--seed_threshold", "0", "--foreground_threshold", "0.2", "--no_overlay"]
    images = [root / "train" / "images", data / "test" / "images"]
    for number, given in enumerate(images):
        out = tmp_path / str(number)
        assert main(["predict", str(run), str(given), "--out", str(out), *settings]) == 0
    heard = capsys.readouterr()
    assert "are taken for the planes of one stack" in heard.out + heard.err
    labels = [tifffile.imread(tmp_path / name / "volume_000.tif") for name in "01"]
    np.testing.assert_array_equal(*labels)


def test_masks_of_several_times_are_told_what_to_do(flat, tmp_path, capsys) -> None:
    for file in flat.glob("train/masks/*.png"):
        times = np.zeros((5, 24, 32), np.uint8)
        tifffile.imwrite(file.with_suffix(".tif"), times, metadata={"axes": "TYX"})
        file.unlink()
    for recipe in ("nuclei", "volumes"):
        assert main(["train", str(flat), "--config", recipe, "--out", str(tmp_path / "run")]) == 1
        said = capsys.readouterr().err
        assert ".tif is of several times: it has the shape (5, 24, 32) (axes TYX); store" in said
        assert "store times as separate files, images and masks alike" in said


def test_recipes_of_the_other_kind_are_refused(data, flat, run, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    asked = ["--out", out, "--steps", "1", "--device", "cpu"]
    said = errors_of(capsys, "train", data, "--config", "nuclei", *asked)
    assert "holds volumes: train by --config volumes" in said
    said = errors_of(capsys, "train", flat, "--config", "volumes", *asked)
    assert "holds images" in said
    assert "--config nuclei" in said
    assert "a label folder; COCO and Cityscapes are of images alone" in said
    said = errors_of(capsys, "train", flat, "--config", "nuclei", "--init", run, *asked)
    assert "holds images" in said
    said = errors_of(capsys, "train", data, "--config", "volumes", "--also", flat, *asked)
    assert "holds volumes, the other images" in said
    said = errors_of(
        capsys, "train", data, "--config", "volumes", "--network", "pretrained_unet",
        "--network_options", "{}", *asked,
    )  # fmt: skip
    assert "of images, not of volumes" in said
    said = errors_of(capsys, "train", data, "--config", "volumes", "--n_sigma", "2", *asked)
    assert "n_sigma must be 1 or 3" in said
    assert not list(out.glob("*.safetensors"))
