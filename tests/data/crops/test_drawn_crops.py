"""Where crops are drawn, around which objects, and how often images are read for them."""

import numpy as np
import pytest
from test_crops import FULL, PLAIN, Squares, cropper, same, to_unit

from spatialembed.data.crops.cropper import Cropper, empty_share
from spatialembed.data.index import ObjectIndex, build_object_index
from spatialembed.data.sample import Sample


def test_all_of_an_image_smaller_than_the_crop_is_shown_at_many_places():
    drawn = cropper(Squares([(9, 11)]), 20, augmentation=PLAIN)
    crops = [drawn.draw(number) for number in range(40)]
    np.testing.assert_array_equal(
        np.sort(crops[0].label_mask.numpy()[crops[0].label_mask > 0]),
        np.sort(drawn.dataset[0].label_mask[drawn.dataset[0].label_mask > 0]),
    )
    assert len({tuple(np.argwhere(crop.image[0].numpy() > 0)[0]) for crop in crops}) > 5


def test_objects_are_drawn_uniformly_and_background_at_its_share():
    index = ObjectIndex(
        image=np.int32([0, 0, 0, 1]),
        label=np.int32([1, 2, 3, 1]),
        class_index=np.zeros(4, np.int32),
        box=np.int32([[2, 2, 5, 5]] * 4),
        area=np.full(4, 9, np.int32),
        image_size=np.full((2, 2), 200, np.int32),
        channels=np.full(2, 2, np.int32),
    )
    data = Squares([(200, 200)] * 2)
    names = [Cropper(data, to_unit, 8, index).draw(i).name for i in range(400)]
    assert names.count("image0") == pytest.approx(300, abs=40)
    anywhere = Cropper(data, to_unit, 8, index, background_share=1.0)
    assert [anywhere.draw(i).name for i in range(400)].count("image0") == pytest.approx(200, abs=45)


def test_an_object_crop_shows_its_object():
    data = Squares([(200, 300), (20, 20)], objects=1)
    drawn = cropper(data, 32, augmentation=FULL)
    assert all((drawn.draw(number).label_mask > 0).any() for number in range(100))


def test_images_are_read_once_within_the_memory_given_and_again_beyond_it():
    data = Squares([(30, 30)] * 3)
    drawn = cropper(data, 8)
    data.reads = 0
    for number in range(40):
        drawn.draw(number)
    assert data.reads == 3
    one = 30 * 30 * (2 + 4 + 2 + 1)
    for limit, least in ((3 * one, 3), (3 * one - 1, 8), (0, 20)):
        drawn = cropper(data, 8, cache_bytes=limit)
        data.reads = 0
        for number in range(60):
            drawn.draw(number)
        assert data.reads == 3 if limit == 3 * one else data.reads >= least


def test_crops_of_the_same_images_are_one_workers_where_it_cannot_keep_all():
    data = Squares([(30, 30)] * 3)
    assert cropper(data, 8).together == 1
    assert cropper(data, 8, cache_bytes=1).together == 32
    assert cropper(data, 1024, cache_bytes=1).together == 1  # would take too much memory


def test_large_data_is_decoded_once_for_several_crops_and_drawn_as_uniformly():
    data = Squares([(32, 32)] * 30, objects=3)
    maker = cropper(data, cache_bytes=20 * 32 * 32 * 5)
    names = [maker.draw(number).name for number in range(320)]
    assert data.reads < 320 / 3
    for batch in range(0, 320, 32):  # eight images in turns, four crops of each
        assert names[batch : batch + 8] * 4 == names[batch : batch + 32]
    few = Squares([(32, 32)] * 5, objects=7)
    index = build_object_index(few)
    maker = Cropper(few, to_unit, 16, index, background_share=0.25, cache_bytes=0)
    chosen = [maker._choose(maker._generator(n), n) for n in range(6000)]
    on_object = [(image, *box) for image, box in chosen if box[0] != box[2]]
    assert abs(len(on_object) / 6000 - 0.75) < 0.05
    counts = np.array(
        [on_object.count((i, *box)) for i, box in zip(index.image, index.box.tolist(), strict=True)]
    )
    expected = len(on_object) / len(index)
    assert (np.abs(counts - expected) < 0.45 * expected).all()


class Discs(Squares):
    """Images of a grid of discs, then images without any."""

    def __init__(self, images: int, empty: int = 0, stray: bool = False) -> None:
        y, x = np.mgrid[:420, :420]
        mask = np.zeros((420, 420), np.int32)
        for k in range(16):
            center_y, center_x = 60 + 100 * (k // 4), 60 + 100 * (k % 4)
            mask[(y - center_y) ** 2 + (x - center_x) ** 2 <= 81] = k + 1
        rng = np.random.default_rng(0)
        if stray:
            free = rng.choice(np.flatnonzero(mask == 0), 16, replace=False)
            mask.reshape(-1)[free] = np.arange(1, 17)
        self.samples = [self.sample(f"discs{i}", mask) for i in range(images)]
        self.samples += [self.sample(f"empty{i}", 0 * mask) for i in range(empty)]
        self.reads = 0

    @staticmethod
    def sample(name: str, mask: np.ndarray) -> Sample:
        classes = np.where(mask > 0, 0, -1).astype(np.int16)
        return Sample(name, np.zeros((*mask.shape, 1), np.uint8), mask, classes, mask < 0)


def test_a_stray_pixel_moves_no_crop():
    clean, stray = (cropper(Discs(2, stray=stray), 64) for stray in (False, True))
    for number in range(100):
        one, other = clean.draw(number).label_mask, stray.draw(number).label_mask
        assert (one > 0).sum() > 100
        assert ((one == other) | (one == 0)).all()


def test_images_without_objects_get_their_share_of_the_crops():
    def shown(images: int, empty: int, share: float | None, **options) -> float:
        maker = cropper(Discs(images, empty), 8, background_share=share, **options)
        names = [maker.draw(number).name for number in range(600)]
        assert len({name for name in names if name.startswith("empty")}) == (share != 0) * empty
        return np.mean([name.startswith("empty") for name in names])

    assert shown(9, 1, None) == pytest.approx(0.1, abs=0.04)
    assert shown(2, 6, None) == pytest.approx(0.2, abs=0.05)  # never more than a fifth
    assert shown(2, 6, None, cache_bytes=0) == pytest.approx(0.2, abs=0.1)
    assert shown(2, 6, 0.4) == pytest.approx(0.3, abs=0.06)  # of all images, as they are
    assert shown(2, 6, 0) == 0
    assert (empty_share(0, 5), empty_share(1, 20), empty_share(9, 10)) == (0, 0.05, 0.2)


def test_where_every_image_has_objects_the_default_is_none_of_background():
    data = Squares([(40, 50), (20, 70)])
    default, none = (cropper(data, background_share=share) for share in (None, 0))
    assert all(same(default.draw(number), none.draw(number)) for number in range(30))
