"""Options that have no effect, or that nobody chose, are said."""

from pathlib import Path

import numpy as np
import tifffile

from spatialembed.cli.options import read_recipe
from spatialembed.training import TrainConfig
from spatialembed.training.config import without_recipe
from spatialembed.training.open_sets import open_sets


def data(root: Path, *splits: str) -> Path:
    mask = np.zeros((16, 16), np.uint8)
    mask[4:9, 4:9] = 1
    for split in splits:
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
            for name in "abcd":
                tifffile.imwrite(root / split / kind / f"{name}.tif", mask)
    return root


def test_a_holdout_beside_a_val_split_is_said(tmp_path) -> None:
    both, train_alone = data(tmp_path / "both", "train", "val"), data(tmp_path / "one", "train")
    for path, options, told in (
        (both, {"holdout": 0.5}, ["--holdout 0.5 has no effect"]),
        (both, {}, []),
        (both, {"holdout": 0.5, "validation": "holdout"}, []),
        (train_alone, {"holdout": 0.5}, []),
    ):
        _, val = open_sets(TrainConfig(path, **options), None)
        assert len(val.problems) == len(told)
        for problem, words in zip(val.problems, told, strict=True):
            assert problem.warning
            assert words in problem.message


def test_a_run_that_names_no_recipe_is_told_what_it_trains(tmp_path) -> None:
    [told] = without_recipe(TrainConfig(tmp_path))
    assert "branched_erfnet is trained for 100 epochs" in told
    assert without_recipe(TrainConfig(tmp_path, minutes=1)) == []
    assert without_recipe(TrainConfig(tmp_path, init=Path("nuclei"))) == []
    assert without_recipe(read_recipe("nuclei", tmp_path)) == []
