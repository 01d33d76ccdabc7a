"""The command, as a person uses it."""

import json

import numpy as np
import pytest
from PIL import Image

from microscopes import write_lif
from spatialembed.cli.main import main
from spatialembed.convert.run import convert
from spatialembed.errors import UserError


def test_convert_then_check(tmp_path, capsys) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in "ab":
        image = np.random.default_rng(ord(name)).integers(0, 99, (40, 60)).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{name}.png")
        points = [[5, 5], [25, 5], [25, 25], [5, 25]]
        shapes = [{"label": "cell", "points": points, "shape_type": "polygon"}]
        shapes.append({"label": "cell", "points": points[:2], "shape_type": "line"})
        content = {"shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
        (folder / f"{name}.json").write_text(json.dumps(content))
    assert main(["check", str(folder)]) == 1
    assert f"`spatialembed convert {folder} OUT`" in capsys.readouterr().out
    assert main(["convert", str(folder), str(out)]) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "label folders of the class cell" in said
    assert "objects: 2 cell" in said
    assert "note: 2 points, lines and texts" in said
    assert main(["check", str(out)]) == 0
    assert main(["convert", str(folder), str(out)]) == 1
    assert "exists already; remove it" in capsys.readouterr().err
    assert main(["convert", str(folder), str(tmp_path / "x"), "--to", "paper"]) == 1
    assert "to must be one of 'training', 'labelme'" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"to must be one of .*'label_studio', .* not label-studio"):
        convert(folder, tmp_path / "x", "label-studio")
    for number, spelling in enumerate(("label-studio", "LabelStudio", "Label Studio", "LabelMe")):
        there = tmp_path / f"tool {number}"
        assert main(["convert", str(folder), str(there), "--to", spelling]) == 0
        assert there.is_dir()


def test_that_hardly_a_tool_opens_a_microscope_s_file_is_said(tmp_path) -> None:
    pytest.importorskip("liffile", reason="reading LIF is an extra, vendor")
    for part in ("images", "masks"):
        (tmp_path / "data" / "train" / part).mkdir(parents=True)
    mask = np.zeros((20, 30), np.uint8)
    mask[3:9, 3:9] = 1
    write_lif(tmp_path / "data/train/images/a.lif", {"a": (mask, "YX")}, {})
    Image.fromarray(mask).save(tmp_path / "data/train/masks/a.png")
    [line] = convert(tmp_path / "data", tmp_path / "out", "labelme").lost
    assert line.startswith("1 images in a microscope's own format, which hardly a tool opens: ")
    assert "a.lif" in line
