"""What Python code gives in another form than is meant is one sentence, never a traceback."""

from pathlib import Path

import numpy as np
import pytest
import torch

import spatialembed as se
from spatialembed.demo.nuclei import draw_nuclei
from spatialembed.errors import UserError
from spatialembed.inference import cpu_network
from spatialembed.inference.engine import EngineNetwork
from spatialembed.metrics.average_precision import score_images
from spatialembed.refinement import refine
from spatialembed.training import TrainConfig
from test_loss_devices import by_torch

IMAGE = np.zeros((32, 32), np.uint8)
MASK = np.zeros((8, 8), np.int32)
MASK[2:5, 2:5] = 1


@pytest.fixture(scope="module")
def model():
    return se.load("nuclei", device="cpu")


@pytest.mark.parametrize("given", [None, 3, ["nuclei"]])
def test_a_model_is_given_by_name_or_path(given) -> None:
    with pytest.raises(UserError, match="given by its name or path, not as"):
        se.load(given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"diameter": "40"}, "the diameter is a number, not '40'"),
        ({"pixel_size": (0.5, 0.5)}, "the pixel size is a number, not"),
        ({"pixel_size": True}, "the pixel size is a number, not 'True'"),
    ],
)
def test_sizes_are_numbers(options, said) -> None:
    with pytest.raises(UserError, match=said):
        se.load("nuclei", device="cpu", **options)


@pytest.mark.parametrize("yes", [np.True_, torch.tensor(True)])
def test_switches_are_those_of_numpy_and_torch_too(yes) -> None:
    found = se.load("nuclei", device="cpu", symmetries=yes, invert=yes)
    assert (found.symmetries, found.invert) == (8, True)
    for wrong in ("no", np.int64(1)):
        with pytest.raises(UserError, match="symmetries must be true or false, not"):
            se.load("nuclei", device="cpu", symmetries=wrong)


SETTINGS = [
    ({"seed_threshold": "0.5"}, "the seed threshold is a number, not '0.5'"),
    ({"foreground_threshold": "0.5"}, "the foreground threshold is a number, not '0.5'"),
    ({"min_size": float("inf")}, "the minimum size is a whole number, not 'inf'"),
    ({"min_size": 2.5}, "the minimum size is a whole number, not '2.5'"),
]


@pytest.mark.parametrize(("options", "said"), SETTINGS)
def test_settings_are_numbers(model, options, said) -> None:
    with pytest.raises(UserError, match=said):
        model.predict(IMAGE, **options)
    with pytest.raises(UserError, match=said):
        se.cluster(np.zeros((4, 8, 8), np.float32), **options)


def test_numbers_of_numpy_are_numbers(model) -> None:
    model.predict(IMAGE, seed_threshold=np.float32(0.5), min_size=np.int64(3))


@pytest.mark.parametrize("of", [np.array, torch.tensor])
def test_what_holds_one_number_is_a_number(model, of) -> None:
    settings = {"seed_threshold": of(0.5), "min_size": of(3)}
    assert model.settings(**settings) == model.settings(0.5, min_size=3)
    se.cluster(np.zeros((4, 8, 8), np.float32), foreground_threshold=of(0.5), **settings)
    sized = se.load("nuclei", device=torch.device("cpu"), diameter=of(40.0), pixel_size=of(0.5))
    assert sized.larger == se.load("nuclei", device="cpu", diameter=40).larger


def test_whole_numbers_may_be_floats_and_tables_paths() -> None:
    config = TrainConfig(n_sigma=2.0, batch=4.0, groups=Path("patients.csv"))
    assert (config.n_sigma, config.batch, config.groups) == (2, 4, "patients.csv")
    assert type(config.n_sigma) is int
    raw = np.zeros((5, 8, 8), np.float32)
    assert len(refine(se.Instances.from_label_map(MASK), raw + 1, n_sigma=2.0)) == 1
    assert len(se.cluster(raw, n_sigma=2.0)) == 0
    whole, other = (
        loss(torch.from_numpy(raw)[None], torch.from_numpy(MASK)[None])["total"]
        for loss in map(se.SpatialEmbeddingLoss, (2, 2.0))
    )
    assert whole == other
    for call in (se.SpatialEmbeddingLoss, lambda n_sigma: se.cluster(raw, n_sigma)):
        with pytest.raises(se.UserError, match=r"n_sigma is a whole number, not '1\.5'"):
            call(n_sigma=1.5)


@pytest.mark.parametrize("options", [{"dtype": torch.bfloat16}, {"requires_grad": True}])
def test_tensors_that_are_no_arrays_are_told_what_to_give(model, options) -> None:
    with pytest.raises(UserError, match=r"cannot take the image.*detach\(\)\.cpu\(\)\.float\(\)"):
        model.predict(torch.zeros(32, 32, **options))


def test_a_raw_output_is_an_array() -> None:
    with pytest.raises(UserError, match="a raw output is an array of numpy or torch, not a list"):
        se.cluster([[0.0, 1.0]])


class Lazy:
    """As xarray's and dask's arrays: NumPy takes it, and it is none of NumPy's."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype = values, values.dtype
        self.ndim, self.shape = values.ndim, values.shape

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self.values


def test_a_raw_output_may_be_what_numpy_takes(model) -> None:
    image, _ = draw_nuclei(side=96)
    raw = model.raw(image)
    found = model.cluster(raw)
    assert len(found)
    np.testing.assert_array_equal(model.cluster(Lazy(raw)).label_map, found.label_map)
    [own] = model.cluster_targets(Lazy(raw)).values()
    np.testing.assert_array_equal(own.label_map, found.label_map)
    for of in (model.refined, lambda found, raw: refine(found, raw, n_sigma=2)):
        np.testing.assert_array_equal(of(found, Lazy(raw)).label_map, of(found, raw).label_map)


@pytest.mark.parametrize("of", [np.ndarray.tolist, torch.from_numpy])
def test_what_becomes_an_array_is_scored(of) -> None:
    scores = score_images([(of(MASK), of(MASK), None, None, "x")])
    assert scores["images"][0]["ap"] == 1
    with pytest.raises(UserError, match="cannot score x: it is no array"):
        score_images([([[1], [2, 3]], of(MASK), None, None, "x")])


@pytest.mark.parametrize("classes", [[0.9], ["a"], [True]])
def test_class_indices_are_whole_numbers(classes) -> None:
    with pytest.raises(ValueError, match="class indices are whole numbers, not of"):
        se.Instances.from_label_map(MASK, classes=np.array(classes), class_names=("a", "b"))


def test_a_network_is_in_float32_whatever_the_programs_own_type_is() -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8)
    expected = se.load("nuclei", device="cpu", precision="float32").raw(image)
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = se.load("nuclei", device="cpu", precision="float32").raw(image)
        assert torch.get_default_dtype() == torch.bfloat16
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, expected)


def test_where_a_program_makes_its_own_tensors_makes_no_difference(monkeypatch) -> None:
    monkeypatch.setattr(cpu_network, "WORTH", 1)  # pixels after which OpenVINO is asked
    image = np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8)
    raw, mask = torch.zeros(1, 5, 8, 8), torch.from_numpy(MASK)[None]
    expected = se.SpatialEmbeddingLoss(n_sigma=2)(raw, mask)["total"]
    torch.set_default_device("meta")
    try:
        model = se.load("nuclei", device="cpu", precision="float32")
        found = model.raw(image)
        assert se.SpatialEmbeddingLoss(n_sigma=2)(raw, mask)["total"] == expected
        assert by_torch(lambda: se.SpatialEmbeddingLoss(n_sigma=2)(raw, mask))["total"] > 0
    finally:
        torch.set_default_device(None)
    assert found.shape == (5, 32, 32)
    assert isinstance(model.network._network, EngineNetwork)
