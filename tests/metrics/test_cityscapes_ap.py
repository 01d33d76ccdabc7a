"""The official Cityscapes AP through our call: hand-made scenes, faults, and nothing written."""

import json

import numpy as np
import pytest
from PIL import Image

from spatialembed.errors import UserError
from spatialembed.metrics.cityscapes_ap import cityscapes_ap

official = pytest.importorskip("cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling")

CAR, PERSON = 26, 24


class Scene:
    """A folder of truths and one of results, written as the tests go."""

    def __init__(self, folder):
        self.truths, self.results = folder / "gtFine", folder / "with space" / "results"
        self.truths.mkdir()
        self.results.mkdir(parents=True)
        self.files = {}

    def add(self, truth, found, name="city_000000_000019"):
        """``found``: (mask, labelId, score as written) each."""
        path = self.truths / f"{name}_gtFine_instanceIds.png"
        Image.fromarray(truth.astype(np.uint16)).save(path)
        self.files[f"{name}_pred"] = path
        lines = []
        for k, (mask, label, score) in enumerate(found):
            Image.fromarray(mask.astype(np.uint8) * 255).save(self.results / f"{name}_{k}.png")
            lines.append(f"{name}_{k}.png {label} {score}\n")
        (self.results / f"{name}_pred.txt").write_text("".join(lines))

    def score(self, *class_names, **options):
        return cityscapes_ap(self.results, self.files, class_names or ("car",), **options)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def street():
    """Two cars of 400 pixels, one of 80, a person of 400, and a group of cars."""
    truth = np.full((80, 120), 7)
    truth[0:20, 0:20] = 26000
    truth[0:20, 40:60] = 26001
    truth[0:8, 80:90] = 26002
    truth[40:60, 0:20] = 24000
    truth[40:60, 40:80] = CAR
    return truth


def perfect(truth):
    ids = [i for i in np.unique(truth) if i >= 1000]
    return [(truth == i, i // 1000, repr(0.5 + k / 100)) for k, i in enumerate(ids)]


def test_a_perfect_result_scores_100_and_writes_and_prints_nothing(
    scene, tmp_path, capfd, monkeypatch
):
    scene.add(street(), perfect(street()))
    monkeypatch.chdir(tmp_path)
    cached = official.args.gtInstancesFile
    before = sorted(tmp_path.rglob("*"))
    scores = scene.score("car", "person", "bus", min_region=0)
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path / "matches.json").exists()
    assert official.args.gtInstancesFile == cached
    assert capfd.readouterr() == ("", "")
    assert scores["classes"]["car"] == pytest.approx({"AP": 100, "AP50": 100})
    assert scores["classes"]["person"] == pytest.approx({"AP": 100, "AP50": 100})
    assert scores["classes"]["bus"] == {"AP": None, "AP50": None}
    assert scores["mean"] == pytest.approx({"AP": 100, "AP50": 100})
    assert (scores["min_region"], scores["images"]) == (0, 1)
    json.dumps(scores, allow_nan=False)


def test_the_figures_are_those_of_the_official_main(scene, monkeypatch):
    """Against the whole official program, on a result with every kind of error."""
    rng = np.random.default_rng(5)
    for k in range(3):
        truth = street()
        found = [(np.roll(m, rng.integers(0, 9), 1), c, s) for m, c, s in perfect(truth)]
        found += [(np.roll(m, 25, 0), c, float(rng.random())) for m, c, _ in found]
        scene.add(truth, found, f"city_000000_00001{k}")
    ours = scene.score("car", "person")
    scene.score("car")  # lends numpy's former name where it is gone
    args = official.CArgs()
    vars(args).update(vars(official.args), quiet=True, JSONOutput=False)
    args.predictionPath = str(scene.results)
    args.gtInstancesFile = "not there"
    monkeypatch.setattr(official, "writeDict2JSON", lambda *_: None)
    monkeypatch.setattr(official, "setInstanceLabels", lambda a: vars(a).update(instLabels=names))
    names = ["car", "person"]
    texts = [str(scene.results / f"city_000000_00001{k}_pred.txt") for k in range(3)]
    theirs = official.evaluateImgLists(texts, [str(f) for f in scene.files.values()], args)[
        "averages"
    ]
    for name in names:
        assert 0 < ours["classes"][name]["AP"] < 100
        assert ours["classes"][name]["AP"] == pytest.approx(100 * theirs["classes"][name]["ap"])
        assert ours["classes"][name]["AP50"] == pytest.approx(
            100 * theirs["classes"][name]["ap50%"]
        )
    assert ours["mean"]["AP"] == pytest.approx(100 * theirs["allAp"])


def test_small_objects_are_ignored_below_min_region(scene):
    truth = street()
    scene.add(truth, [f for f in perfect(truth) if f[0].sum() > 100])
    assert scene.score()["classes"]["car"]["AP50"] == pytest.approx(100)
    assert scene.score(min_region=81)["classes"]["car"]["AP50"] == pytest.approx(100)
    assert scene.score(min_region=80)["classes"]["car"]["AP50"] == pytest.approx(200 / 3)


def test_what_is_found_on_a_group_is_no_error_and_elsewhere_it_is(scene):
    truth = street()
    cars = [(truth == 26000, CAR, 0.8), (truth == 26001, CAR, 0.7)]
    scene.add(truth, [*cars, (truth == CAR, CAR, 0.9)])
    assert scene.score()["classes"]["car"]["AP50"] == pytest.approx(100)
    ghost = np.zeros(truth.shape, bool)
    ghost[65:80] = True
    scene.add(truth, [*cars, (ghost, CAR, 0.9)])
    assert scene.score()["classes"]["car"]["AP50"] < 100


def test_scores_that_differ_in_the_last_digits_keep_their_order(scene):
    truth = street()
    truth[0:8, 80:90] = 7
    ghost = np.zeros(truth.shape, bool)
    ghost[65:80] = True
    above, below = 0.9000000000000001, 0.9
    cars = [(truth == 26000, CAR, repr(above)), (truth == 26001, CAR, repr(above))]
    scene.add(truth, [*cars, (ghost, CAR, repr(below))])
    assert scene.score()["classes"]["car"]["AP50"] == pytest.approx(100)


def test_nothing_found_and_only_ignored_found_score_0(scene):
    truth = street()
    scene.add(truth, [])
    assert scene.score()["classes"]["car"] == {"AP": 0, "AP50": 0}
    scene.add(truth, [(truth == CAR, CAR, 0.9)])
    assert scene.score()["classes"]["car"] == {"AP": 0, "AP50": 0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone.png 26 0.5\n", "gone.png"),
        ("a.png 26\n", "Expected content"),
        ("../../a.png 26 0.5\n", "outside"),
        ("city_000000_000019_0.png 999 0.5\n", "no Cityscapes label 999"),
        ("city_000000_000019_0.png 26 high\n", "cannot read"),
    ],
)
def test_a_bad_result_is_named(scene, capfd, text, said):
    scene.add(street(), perfect(street()))
    result = scene.results / "city_000000_000019_pred.txt"
    result.write_text(text)
    with pytest.raises(UserError, match=said) as raised:
        scene.score()
    assert str(result) in str(raised.value)
    assert capfd.readouterr().out == ""


def test_a_truncated_truth_is_named(scene):
    scene.add(street(), perfect(street()))
    [file] = scene.files.values()
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(UserError, match=r"instanceIds\.png"):
        scene.score()
