"""Submissions that the official script reads, and that leave nothing of former ones."""

import numpy as np
import pytest
from PIL import Image

from spatialembed import errors
from spatialembed.formats.cityscapes_results import write_cityscapes_results
from spatialembed.instances import Instances


def test_cityscapes_results(tmp_path, three):
    label_ids = {"car": 26, "bus": 28, "person": 24}
    text = write_cityscapes_results(tmp_path, "aachen_000000_000019", three, label_ids)
    assert text == tmp_path / "aachen_000000_000019.txt"
    lines = [line.split(" ") for line in text.read_text().splitlines()]
    assert [int(line[1]) for line in lines] == [26, 28, 26]
    assert [np.float32(line[2]) for line in lines] == three.scores.tolist()
    assert len({line[2] for line in lines}) == 3, "scores a float apart stay apart"
    for k, (name, *_) in enumerate(lines):
        mask = Image.open(tmp_path / name)
        assert mask.mode == "L"
        np.testing.assert_array_equal(np.array(mask), 255 * (three.label_map == k + 1))


def test_cityscapes_results_are_read_by_the_official_script(tmp_path, three):
    name = "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling"
    official = pytest.importorskip(name, reason="needs the 'eval' extra")
    text = write_cityscapes_results(tmp_path, "a_0_1", three, {"car": 26, "bus": 28})
    official.args.predictionPath = str(tmp_path)
    read = official.readPredInfo(str(text), official.args)
    assert [entry["labelID"] for entry in read.values()] == [26, 28, 26]
    assert [entry["conf"] for entry in read.values()] == three.scores.tolist()


def test_cityscapes_results_leave_no_mask_of_former_ones(tmp_path, three):
    write_cityscapes_results(tmp_path, "a", three, {"car": 26, "bus": 28})
    write_cityscapes_results(tmp_path, "a_1", three, {"car": 26, "bus": 28})
    nothing = Instances.from_label_map(np.zeros_like(three.label_map))
    write_cityscapes_results(tmp_path, "a", nothing, {})
    left = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert left == ["a_1_0.png", "a_1_1.png", "a_1_2.png"]


def test_cityscapes_results_without_an_instance(tmp_path):
    nothing = Instances.from_label_map(np.zeros((4, 5), np.int32))
    assert write_cityscapes_results(tmp_path, "a_0_1", nothing, {}).read_text() == ""


def test_cityscapes_results_refuse(tmp_path, three):
    with pytest.raises(errors.UserError, match="without spaces"):
        write_cityscapes_results(tmp_path, "my image", three, {"car": 26, "bus": 28})
    with pytest.raises(ValueError, match="class bus"):
        write_cityscapes_results(tmp_path, "a", three, {"car": 26})
    assert list(tmp_path.iterdir()) == []
