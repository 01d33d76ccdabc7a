"""Images of two splits that are equal, or neighbouring tiles of one picture."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from PIL import Image
from scipy.ndimage import gaussian_filter

from spatialembed.data.checks import across_splits as across
from spatialembed.data.checks.adjoining import adjoining
from spatialembed.data.checks.borders import LONGEST, borders_of, digest_of
from spatialembed.data.checks.check import check_data
from spatialembed.data.images.windows import in_memory
from spatialembed.errors import UserError


def picture(seed: int, shape: tuple[int, int] = (128, 192), blur: float = 2.0) -> np.ndarray:
    """Smooth blobs on a dark ground, with noise, (H, W) uint8."""
    rng = np.random.default_rng(seed)
    blobs = gaussian_filter(rng.normal(size=shape), blur)
    ground = 40 + 60 * np.maximum(blobs / blobs.std(), 0)
    return np.clip(ground + rng.normal(0, 2, shape), 0, 255).astype(np.uint8)


def tiles(image: np.ndarray, side: int = 64) -> dict[tuple[int, int], np.ndarray]:
    rows, columns = (range(0, length, side) for length in image.shape[:2])
    return {(y, x): image[y : y + side, x : x + side] for y in rows for x in columns}


def borders(image: np.ndarray):
    return borders_of(in_memory("x", image.reshape(*image.shape[:2], -1)))


def found_in(images: list[np.ndarray]) -> set[tuple[int, int]]:
    return {tuple(pair) for pair in adjoining([borders(image) for image in images]).tolist()}


def neighbours(keys: list[tuple[int, int, int]], side: int = 64) -> set[tuple[int, int]]:
    number = {key: i for i, key in enumerate(keys)}
    steps = ((0, side), (side, 0))
    pairs = ((key, (key[0], key[1] + dy, key[2] + dx)) for key in keys for dy, dx in steps)
    return {(number[one], number[other]) for one, other in pairs if other in number}


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "color"])
def test_tiles_of_a_picture_adjoin_and_others_do_not(kind):
    cut = {(p, *key): tile for p in range(8) for key, tile in tiles(picture(p)).items()}
    keys = sorted(cut, key=lambda key: hash(key) % 97)  # in no order of pictures
    images = [cut[key] for key in keys]
    if kind == "color":
        images = [np.stack([image, 255 - image, image // 2], axis=-1) for image in images]
    elif kind != "uint8":
        images = [image.astype(kind) * (150 if kind == "uint16" else 1 / 255) for image in images]
        images = [image.astype(kind) for image in images]
    found, true = found_in(images), neighbours(keys)
    assert len(true) == 8 * 7
    assert found <= true
    assert len(found) > 0.9 * len(true)


def test_pictures_of_one_kind_do_not_adjoin():
    assert found_in([picture(seed, (64, 64)) for seed in range(60)]) == set()


def test_one_bright_object_at_two_borders_says_little():
    """At any place, so that chance alone has two objects meet."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(60):
        image = rng.normal(20, 1, (64, 64))
        for side in (0, 63):
            image[:, side] += 150 * np.exp(-((np.arange(64) - rng.uniform(8, 56)) ** 2) / 8)
        images.append(image.astype(np.uint8))
    assert found_in(images) == set()


def test_images_that_are_blank_adjoin_nothing():
    blank = [np.full((20, 30), value, np.uint8) for value in (0, 0, 7, 255)]
    assert found_in(blank) == set()
    assert found_in([]) == set()


def test_sizes_that_differ_do_not_face_each_other():
    whole = picture(0)
    assert found_in([whole[:64, :64], whole[:63, 64:128]]) == set()


def test_long_borders_are_kept_as_means():
    image = np.arange(4 * 1100).reshape(4, 1100)
    top = borders(image)[0]
    assert top.length == 1100
    assert len(top.line) == 366 <= LONGEST
    np.testing.assert_allclose(top.line[:2], [1, 4])  # means of three
    assert top.step == pytest.approx(1100**2)
    assert borders_of(in_memory("x", image[:1, :, None])) is None


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st_numpy.arrays(
            st.sampled_from([np.float64, np.float32, np.uint8, np.int16, np.bool_]),
            st.sampled_from([(2, 2, 1), (3, 9, 2), (9, 3, 1)]),
        ),
        max_size=6,
    )
)
def test_any_values_are_compared(images):
    """NaN, infinity and the largest floats are no errors, and nothing adjoins itself."""
    pairs = adjoining([borders_of(in_memory("x", image)) for image in images])
    assert pairs.shape[1:] == (2,)
    assert (pairs[:, 0] != pairs[:, 1]).all()


def test_digests_are_of_pixels():
    image = picture(0)[..., None]
    assert digest_of(image) == digest_of(image.astype(np.uint16)) == digest_of(image.astype(int))
    assert digest_of(image) != digest_of(image.swapaxes(0, 1))
    assert digest_of(image) != digest_of(image.reshape(192, 128, 1))
    other = image.copy()
    other[5, 5] += 1
    assert digest_of(image) != digest_of(other)
    assert digest_of(np.zeros((4, 4, 1), np.uint8)) is None


def write(root, split: str, name: str, image: np.ndarray) -> None:
    """As TIFF in test, as PNG elsewhere; the mask has one object."""
    for part in ("images", "masks"):
        (root / split / part).mkdir(parents=True, exist_ok=True)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[2:9, 2:9] = 1
    Image.fromarray(mask).save(root / split / "masks" / f"{name}.png")
    if split == "test":
        tifffile.imwrite(root / split / "images" / f"{name}.tif", image.astype(np.uint16))
    else:
        Image.fromarray(image).save(root / split / "images" / f"{name}.png")


def told(root, **options) -> list[str]:
    warnings = check_data(root, **options).warnings
    messages = (str(warning) for warning in warnings)
    return [text.replace(f"{root}/", "") for text in messages if "flatters" in text]


@pytest.fixture
def tiled(tmp_path):
    """Four pictures of six tiles each, in train."""
    for p in range(4):
        for (y, x), tile in tiles(picture(p)).items():
            write(tmp_path, "train", f"p{p}_{y}_{x}", tile)
    return tmp_path


def test_check_warns_of_tiles_that_the_holdout_separates(tiled):
    (message,) = told(tiled)
    assert "val images adjoin one of train" in message
    assert "--groups" in message
    assert told(tiled, groups="^(p.)") == []
    report = check_data(tiled, groups="^(p.)")
    assert {split.split: split.images for split in report.splits} == {"train": 18, "val": 6}


def test_check_says_what_is_wrong_with_groups(tiled):
    (problem,) = check_data(tiled, groups="^(x)").errors
    assert "no group of the image p0_0_0" in problem.message


def test_check_warns_of_equal_images_in_any_format(tmp_path):
    for seed in range(8):
        write(tmp_path, "train", f"t{seed}", picture(seed, (64, 64)))
    for seed in (3, 5, 20):
        write(tmp_path, "test", f"s{seed}", picture(seed, (64, 64)))
    messages = told(tmp_path, holdout=0.0)
    assert len(messages) == 1
    assert messages[0].startswith(
        "test/images/s3.tif: is equal to train/images/t3.png, pixel by pixel (2 of 3 test images"
    )


def test_borders_are_compared_up_to_a_number_of_images(tiled, monkeypatch):
    monkeypatch.setattr(across, "MOST", 1)
    monkeypatch.setattr("spatialembed.data.checks.check.MOST", 1)
    report = check_data(tiled)
    assert sum("(1 of 4 val images adjoin" in warning.message for warning in report.warnings) == 1
    assert "adjoining images: of train the first 1 of 20 were looked at" in list(report.lines())


def test_training_warns_too(tiled):
    from spatialembed.training import TrainConfig
    from spatialembed.training.prepare import gather

    assert any("adjoin one of train" in w.message for w in gather(TrainConfig(tiled)).warnings)
    parted = gather(TrainConfig(tiled, groups="^(p.)"))
    assert not any("adjoin" in w.message for w in parted.warnings)
    with pytest.raises(UserError, match="of one group"):
        gather(TrainConfig(tiled, groups="^(p)"))
