"""Which files of folders and patterns are images to predict, and what their results are called."""

import unicodedata
from dataclasses import replace

import pytest
from PIL import Image
from test_folder import names
from test_predictor import bright, squares
from two_targets import model as two_targets
from two_targets import scene

from spatialembed.data.checks.label_first import label_first
from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model


def test_folders_keep_their_shape(images, tmp_path) -> None:
    assert names(find_images([images], tmp_path / "out")) == ["a", "sub/b", "sub/c"]


def test_files_and_patterns(images, tmp_path) -> None:
    out = tmp_path / "out"
    assert names(find_images([images / "a.png", images / "sub" / "*.png"], out)) == ["a", "c"]
    assert names(find_images([str(images / "**" / "*.tif")], out)) == ["b"]
    assert names(find_images([images / "a.png", images / "a.png"], out)) == ["a"]


def test_results_inside_of_the_folder_are_no_images(images) -> None:
    out = images / "out"
    list(predict_files(bright(), find_images([images], out), Results(out)))
    assert names(find_images([images], out)) == ["a", "sub/b", "sub/c"]


def test_results_never_lie_among_the_images(images) -> None:
    with pytest.raises(UserError, match="choose another folder"):
        find_images([images], images)
    with pytest.raises(UserError, match="choose another folder"):
        find_images([images / "sub" / "b.tif"], images / "sub")


def test_two_results_of_one_name(images, tmp_path) -> None:
    Image.fromarray(squares()[..., 0]).save(images / "a.tif")
    with pytest.raises(UserError, match=r"a\.png and .*a\.tif|a\.tif and .*a\.png"):
        find_images([images], tmp_path / "out")


@pytest.mark.parametrize("given", ["nowhere", "nowhere/*.png", "empty"])
def test_nothing_there(tmp_path, given) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=given.partition("/")[0]):
        find_images([tmp_path / given], tmp_path / "out")


def test_a_pattern_that_matches_results_takes_the_images_alone(images, monkeypatch):
    monkeypatch.chdir(images)
    before = find_images(["**/*.tif"], images / "found")
    list(predict_files(bright(), before, Results(images / "found")))
    assert find_images(["**/*.tif"], images / "found") == before


def test_masks_beside_their_images_are_no_images(images, tmp_path) -> None:
    for name in ("a_masks.png", "sub/b_cp_masks.tif", "sub/d_masks.png", "sub/e_img.png"):
        (images / name).write_bytes((images / "a.png").read_bytes())
    (images / "sub" / "e_masks.png").write_bytes((images / "a.png").read_bytes())
    told = []
    found = names(find_images([images], tmp_path / "out", told.append))
    assert found == ["a", "sub/b", "sub/c", "sub/d_masks", "sub/e_img"]
    [line] = told
    assert line.startswith(
        f"{images / 'a_masks.png'}, beside images as masks or results are, is left out (and 2"
    )
    by_name = images / "a_masks.png"
    assert names(find_images([by_name], tmp_path / "out", told.append)) == ["a_masks"]


def test_results_of_a_former_run_are_no_images(images, tmp_path) -> None:
    for folder, settings in {
        "found": '{"model": "nuclei", "seed_threshold": 0.9}',
        "both": '{"model": "two", "targets": {}}',
        "plate": '{"model": "microscope"}',
        "other": "{",
    }.items():
        (images / folder / "sub").mkdir(parents=True)
        (images / folder / "settings.json").write_text(settings)
        (images / folder / "sub" / "x.png").write_bytes((images / "a.png").read_bytes())
    (images / "tracks" / "tracks.geff").mkdir(parents=True)
    (images / "tracks" / "tracks.csv").write_text("id,frame")
    (images / "tracks" / "t0.png").write_bytes((images / "a.png").read_bytes())
    told = []
    found = names(find_images([images], tmp_path / "out", told.append))
    assert found == ["a", "other/sub/x", "plate/sub/x", "sub/b", "sub/c"]
    assert told[0].startswith(f"{images / 'both' / 'sub'}, beside images as masks or results")
    assert "(and 2 more such)" in told[0]
    assert len(find_images([images / "found"], tmp_path / "out", told.append)) == 1
    chosen, _ = label_first(images, 9)
    assert images / "found" / "sub" / "x.png" not in [file for file, _ in chosen]


def test_label_tiffs_that_know_their_image_are_no_images(images, tmp_path) -> None:
    found, planes = tmp_path / "found", tmp_path / "planes"
    list(predict_files(bright(), find_images([images], found), Results(found)))
    for given in (found, found / "sub", found / "a.tif", found / "*.tif"):
        with pytest.raises(UserError, match=r"found.*\.tif holds what predict found in"):
            find_images([given], tmp_path / "out")
    planes.mkdir()
    list(predict_files(bright(), find_images([images], planes), Results(planes, pictures=False)))
    with pytest.raises(UserError, match="holds what predict"):
        find_images([planes / "sub"], tmp_path / "out", stacks=True)
    inside = images.parent  # results above their images
    list(predict_files(bright(), find_images([images], inside), Results(inside)))
    assert names(find_images([images], inside)) == ["a", "sub/b", "sub/c"]


def test_pictures_and_masks_of_instances_are_no_images(images, tmp_path) -> None:
    found, out = tmp_path / "found", tmp_path / "out"
    street = Model(bright().network, replace(bright().spec, class_names=("car",)))
    list(predict_files(street, find_images([images], found), Results(found, ["cityscapes"])))
    masks = found / "cityscapes" / "sub" / "masks"
    for given in (found / "*.png", found / "sub" / "b_overlay.png", masks, masks / "b_0.png"):
        with pytest.raises(UserError, match=r"holds what predict found in .*[abc]"):
            find_images([given], out)
    for folder in (found, masks):  # results of a folder above are not what was asked for
        with pytest.raises(UserError, match="holds what predict found in"):
            label_first(folder, 2)


def test_a_picture_of_several_targets_is_no_image(tmp_path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(scene()[..., 0]).save(tmp_path / "images" / "a.png")
    found = tmp_path / "found"
    list(predict_files(two_targets(), find_images([tmp_path / "images"], found), Results(found)))
    with pytest.raises(UserError, match=r"a_overlay\.png holds what predict found in .*a\.png"):
        find_images([found / "a_overlay.png"], tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    ["b_overlay.tif", "b_flows.tif", "b_dP.tif", "b_cp_masks.png", "b_outlines.png",
     "b_cp_output.png"],
)  # fmt: skip
def test_pictures_and_flows_beside_their_image_are_no_images(images, tmp_path, name) -> None:
    for file in (images / "sub" / name, images / name):
        file.write_bytes((images / "a.png").read_bytes())
    told = []
    found = names(find_images([images], tmp_path / "out", told.append))
    assert found == ["a", name[:-4], "sub/b", "sub/c"]  # beside another image it is one
    assert told[0].startswith(f"{images / 'sub' / name}, beside images as masks or results are")


def test_hidden_folders_are_no_images_and_other_formats_are_told(images, tmp_path) -> None:
    for name in (".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/a.png", "sub/._b.tif"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes((images / "a.png").read_bytes())
    for name in ("c.ims", "sub/d.npy", "sub/e.npy", "Thumbs.db", "table.csv"):
        (images / name).touch()
    (images / "big.zarr").mkdir()
    (images / "big.zarr" / "0.png").touch()
    told = []
    assert names(find_images([images], tmp_path / "out", told.append)) == ["a", "sub/b", "sub/c"]
    [line] = told
    assert line.startswith(f"{images}: 4 files of other formats are left out (1 .ims, 2 .npy, 1 .z")
    told.clear()
    assert names(find_images([str(images / "**" / "*")], tmp_path / "out", told.append)) == [
        *("a", "b", "c")
    ]
    assert "(1 .ims, 2 .npy, 1 .zarr)" in told[0]
    assert told[0].endswith("a .zarr is predicted by itself, with --out NAME.zarr")


@pytest.mark.parametrize(
    ("one", "other"),
    [("plate/A1.png", "plate/a1.png"), ("grün.png", unicodedata.normalize("NFD", "grün.png"))],
)
def test_names_that_some_disks_do_not_tell_apart_are_refused(tmp_path, one, other) -> None:
    for name in (one, other):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(squares()[..., 0]).save(path)
    if len(list((tmp_path / "images").rglob("*.png"))) < 2:
        pytest.skip("this disk does not tell the two apart")
    with pytest.raises(UserError, match="would both write"):
        find_images([tmp_path / "images"], tmp_path / "out")
