"""Folders of masks in masks/: several targets over the same images."""

import numpy as np
import pytest
import tifffile

from spatialembed.cli.main import main
from spatialembed.data.checks.check import check_data
from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.index import object_index
from spatialembed.data.layouts.label_folder import LabelFolder
from spatialembed.data.open import open_data, scan_data
from spatialembed.data.targets import Targets, each_of
from spatialembed.demo.cells import make_cells
from spatialembed.errors import UserError
from spatialembed.models.normalization import Normalization


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("targets")
    make_cells(root, {"train": 7, "test": 1}, side=64)
    return root


@pytest.fixture
def folder(made, tmp_path):
    """A copy to change; of images whose names are train000 and so on."""
    import shutil

    return shutil.copytree(made, tmp_path / "DATA")


def masks(root, target, name):
    return tifffile.imread(root / "train" / "masks" / target / f"{name}.tif")


def test_targets_are_found_by_themselves_and_stacked(made) -> None:
    data = open_data(made, "train")
    assert isinstance(data, Targets)
    assert data.class_names == ("cells", "nuclei")
    sample = data[0]
    assert sample.label_mask.shape == (2, 64, 64)
    for k, target in enumerate(data.class_names):
        np.testing.assert_array_equal(sample.label_mask[k], masks(made, target, sample.name))
    assert not sample.ignore.any()
    assert [file.parent.name for file in data.files(0)] == ["images", "cells", "nuclei"]
    assert open_data(made, "train", ["nuclei", "cells"]).class_names == ("nuclei", "cells")


def test_what_is_held_out_is_the_same_for_all_and_for_one_alone(made) -> None:
    train, val = (open_data(made, split) for split in ("train", "val"))
    assert len(val) == 1
    assert set(train.names).isdisjoint(val.names)
    for one in each_of(val):
        assert one.names == val.names
    alone = open_data(made, "val", ["nuclei"])
    assert isinstance(alone, LabelFolder)
    assert (alone.names, alone.class_names) == (val.names, ("nuclei",))


def test_a_target_that_an_image_lacks_is_ignored_there(folder) -> None:
    name = open_data(folder, "train").names[0]
    (folder / "train" / "masks" / "cells" / f"{name}.tif").unlink()
    data = open_data(folder, "train")
    assert len(data) == 6
    truth = data.truth(0)
    assert truth.ignore[0].all()
    assert not truth.label_mask[0].any()
    np.testing.assert_array_equal(truth.label_mask[1], masks(folder, "nuclei", name))
    assert not truth.ignore[1].any()
    assert data.each[0].names == data.names[1:]
    assert "lacks masks of 1 of 7 images: cells are unknown there" in str(data.problems[0])
    index = object_index(data)
    assert set(index.class_index[index.image == 0]) == {1}


def test_an_image_without_any_mask_is_refused(folder) -> None:
    for target in ("cells", "nuclei"):
        (folder / "train" / "masks" / target / "train003.tif").unlink()
    with pytest.raises(UserError, match=r"train003.tif: has no mask; expected .*masks/cells"):
        open_data(folder, "train")


def test_a_target_that_there_is_not_is_refused(made) -> None:
    with pytest.raises(UserError, match="no target car; its masks are of cells, nuclei"):
        open_data(made, "train", ["cells", "car"])


def test_masks_of_different_sizes_are_refused(folder) -> None:
    tifffile.imwrite(folder / "train/masks/nuclei/train000.tif", np.ones((64, 60), np.uint16))
    with pytest.raises(UserError, match=r"train000.tif differ in size"):
        open_data(folder, "train", holdout=0)[0]
    with pytest.raises(UserError, match=r"its truth .*nuclei.train000.tif is 60x64"):
        object_index(open_data(folder, "train", holdout=0))


def test_images_among_masks_of_stacks_are_refused(tmp_path, capsys) -> None:
    for part in ("images", "masks/cells", "masks/nuclei"):
        stack = np.ones((4, 9, 9), np.uint8)
        file = tmp_path / "train" / part / "a.tif"
        file.parent.mkdir(parents=True)
        tifffile.imwrite(file, stack, imagej=True, metadata={"axes": "ZYX"})
    assert open_data(tmp_path, "train").dims == 3
    tifffile.imwrite(file, stack[0])
    with pytest.raises(UserError, match=r"nuclei/a\.tif is an image, .*cells/a\.tif a stack"):
        open_data(tmp_path, "train")
    assert main(["check", str(tmp_path)]) == 1
    assert "nuclei/a.tif: is an image" in "".join(capsys.readouterr().out.split("\n"))
    file.write_text("no mask")
    with pytest.raises(UserError, match=r"nuclei/a\.tif cannot be read"):
        open_data(tmp_path, "train")


def test_ignored_regions_are_those_of_a_target(folder) -> None:
    path = folder / "train" / "ignore" / "nuclei" / "train000.tif"
    path.parent.mkdir(parents=True)
    tifffile.imwrite(path, np.eye(64, dtype=np.uint8))
    truth = open_data(folder, "train", holdout=0).truth(0)
    np.testing.assert_array_equal(truth.ignore[1], np.eye(64) > 0)
    assert not truth.ignore[0].any()


@pytest.mark.parametrize("place", ["train000.tif", "nucleus/train000.tif"])
def test_ignored_regions_of_no_target_are_refused(folder, place) -> None:
    path = folder / "train" / "ignore" / place
    path.parent.mkdir(parents=True)
    tifffile.imwrite(path, np.eye(64, dtype=np.uint8))
    with pytest.raises(UserError, match=r"ignore.\S+ is of none of the targets cells and nuclei"):
        open_data(folder, "train")


@pytest.mark.parametrize("count", [1, 7])
def test_masks_beside_folders_of_masks_are_refused(folder, count) -> None:
    inside = folder / "train" / "masks"
    for path in sorted((inside / "cells").iterdir())[:count]:
        (inside / path.name).write_bytes(path.read_bytes())
    for split in ("train", "test"):
        with pytest.raises(UserError, match="masks holds both masks and folders of masks"):
            open_data(folder, split)


def test_a_lone_folder_of_masks_is_refused(folder) -> None:
    import shutil

    for split in ("train", "test"):
        shutil.rmtree(folder / split / "masks" / "cells")
    with pytest.raises(
        UserError, match=r"masks/nuclei as its only folder .* go into masks/ itself"
    ):
        open_data(folder, "train")


def test_masks_of_single_objects_are_no_targets(tmp_path) -> None:
    for file in ("images/a", "images/b", "masks/a/a", "masks/b/b"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / f"{file}.tif", np.ones((8, 8), np.uint8))
    with pytest.raises(UserError, match="has no mask"):
        scan_data(tmp_path)


def test_the_index_has_the_objects_of_each_target_as_its_class(made) -> None:
    data = open_data(made, "train")
    index = object_index(data)
    for k, one in enumerate(data.each):
        own = object_index(one)
        assert (index.class_index == k).sum() == len(own)
        np.testing.assert_array_equal(index.area[index.class_index == k], own.area)
    assert (np.diff(index.image) >= 0).all()
    np.testing.assert_array_equal(index.image_size, [[64, 64]] * len(data))


def test_crops_cut_all_targets_alike(made) -> None:
    data = open_data(made, "train")
    augmentation = Augmentation(flip=True, turn=True, scale=(0.7, 1.4))
    normalization = Normalization("percentile").fixed
    cropper = Cropper(data, normalization, 48, object_index(data), augmentation=augmentation)
    seen = set()
    for number in range(8):
        crop = cropper.draw(number)
        cells, nuclei = crop.label_mask
        assert crop.label_mask.shape == crop.ignore.shape == (2, 48, 48)
        assert (cells[nuclei > 0] > 0).all()  # as they are drawn
        seen |= set(crop.class_map[crop.label_mask > 0].tolist())
        outside = crop.ignore[0]
        np.testing.assert_array_equal(outside, crop.ignore[1])
        assert not crop.label_mask[:, outside].any()
    assert seen == {0}


def test_check_reports_each_target(made, capsys) -> None:
    report = check_data(made)
    assert (report.layout, report.class_names) == ("Targets", ("cells", "nuclei"))
    assert [split.split for split in report.splits] == ["train", "val", "test"] * 2
    assert main(["check", str(made)]) == 0
    said = capsys.readouterr().out
    assert "objects of class cells" in said
    assert "objects of class nuclei" in said
    assert main(["check", str(made), "--classes", "nuclei"]) == 0
    assert "cells" not in capsys.readouterr().out


def test_check_names_the_target_without_objects(folder, capsys) -> None:
    for path in (folder / "train" / "masks" / "nuclei").iterdir():
        tifffile.imwrite(path, np.zeros((64, 64), np.uint16))
    main(["check", str(folder)])
    captured = capsys.readouterr()
    assert "has no object of nuclei in its" in " ".join((captured.out + captured.err).split())


def test_a_target_that_no_validation_image_has_is_refused(folder, capsys) -> None:
    [held] = open_data(folder, "val").names
    (folder / "train" / "masks" / "nuclei" / f"{held}.tif").unlink()
    told = r"no object of nuclei in the 0 val images .*--holdout"
    with pytest.raises(UserError, match=told):
        object_index(open_data(folder, "val"), whole=True)
    assert main(["check", str(folder)]) == 1
    captured = capsys.readouterr()
    said = " ".join((captured.out + captured.err).split())
    assert "has no mask of nuclei for any of its 1 val images; training needs some there" in said
    assert main(["check", str(folder), "--classes", "cells"]) == 0


def test_what_holds_one_target_refuses_several(made, tmp_path, capsys) -> None:
    for command, *options in (["crops"], ["convert", "--to", "coco"]):
        assert main([command, str(made), str(tmp_path / command), *options]) == 1
        assert "has masks of several targets" in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / command).exists()
    given = ["crops", str(made), str(tmp_path / "one"), "--classes", "nuclei", "--size", "32"]
    assert main(given) == 0


def test_masks_of_targets_that_have_other_names_are_told_theirs(folder) -> None:
    for file in sorted(folder.glob("*/masks/*/*.tif")):
        file.rename(file.with_stem(f"{file.stem}_{file.parent.name}"))
    with pytest.raises(UserError, match=r"or of a target .*cells.NAME\.png, NAME as the image's"):
        open_data(folder)
