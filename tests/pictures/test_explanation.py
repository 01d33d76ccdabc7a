import numpy as np
import pytest

from spatialembed.embedding import PITCH, margin_to_sigma
from spatialembed.instances import Instances
from spatialembed.pictures import VIEWS, Explanation, explain, found_seeds

HEIGHT, WIDTH = 48, 64


def scene(n_sigma=2, n_classes=1):
    """Two discs, an ideal raw output for them, and what clustering finds."""
    y, x = np.indices((HEIGHT, WIDTH), dtype=np.float32)
    label_map = np.zeros((HEIGHT, WIDTH), np.int32)
    output = np.zeros((2 + n_sigma + n_classes, HEIGHT, WIDTH), np.float32)
    output[2 : 2 + n_sigma] = margin_to_sigma(6)
    output[2 + n_sigma :] = -8
    for k, (cy, cx) in enumerate([(20, 15), (25, 45)]):
        disc = (y - cy) ** 2 + (x - cx) ** 2 < 100
        label_map[disc] = k + 1
        output[0][disc] = np.arctanh((cx - x) * PITCH)[disc]
        output[1][disc] = np.arctanh((cy - y) * PITCH)[disc]
        output[-1][disc] = (5 - 0.05 * ((y - cy) ** 2 + (x - cx) ** 2))[disc]
    return label_map, output, Instances.from_label_map(label_map, np.array([0.9, 0.9]))


@pytest.mark.parametrize("n_sigma", [1, 2])
@pytest.mark.parametrize("margin", [None, 8.0])
def test_explain_makes_a_sheet(n_sigma, margin):
    label_map, output, found = scene(n_sigma)
    image = (label_map > 0).astype(np.uint8) * 200
    sheet = explain(Explanation(image, output, found, n_sigma, PITCH, margin), label_map)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 3 * 320 + 4 * 14
    stretched = Explanation(image, output, found, n_sigma, (PITCH, 2 * PITCH), margin)
    without = explain(stretched, columns=5)
    assert without.shape[1] == 5 * 320 + 6 * 14


def test_explain_survives_an_untrained_network():
    _, output, _ = scene()
    output[:, :20], output[:, 20:30] = np.nan, np.inf
    nothing = Instances.from_label_map(np.zeros((HEIGHT, WIDTH), np.int32))
    explanation = Explanation(np.zeros((HEIGHT, WIDTH, 3), np.uint8), output, nothing, 2)
    explain(explanation, np.zeros((HEIGHT, WIDTH), int))


def test_views_are_as_large_as_the_image_or_a_multiple():
    label_map, output, found = scene()
    explanation = Explanation(label_map, output, found, 2)
    for view in VIEWS:
        height, width = explanation.picture(view).shape[:2]
        assert height % HEIGHT == 0
        assert width * HEIGHT == height * WIDTH, view


def test_found_seeds_are_the_best_pixels_first_in_a_tie():
    rng = np.random.default_rng(1)
    label_map = rng.integers(0, 7, (20, 30))
    classes = rng.integers(0, 2, 6)
    scores = rng.integers(0, 5, (2, 20, 30)) / 5
    expected = []
    for k in range(6):
        pixels = np.flatnonzero(label_map == k + 1)
        expected.append(pixels[np.argmax(scores[classes[k]].ravel()[pixels])])
    assert found_seeds(scores, label_map, classes).tolist() == expected
    assert found_seeds(scores, np.zeros((20, 30), int), classes[:0]).size == 0
