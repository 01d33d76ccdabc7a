"""The pictures of these pages, made anew: shipped models on generated images.

python docs/pictures.py
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

import spatialembed as se
from spatialembed.demo.nuclei import draw_nuclei
from spatialembed.pictures import (
    Judgement,
    Tile,
    explain,
    found_against_truth,
    judge,
    panel,
    save_picture,
    to_rgb,
    verdict_key,
)

OUT = Path(__file__).parent / "pages" / "pictures"


class Failure(NamedTuple):
    """A generated image on which `nuclei` fails, and what helps."""

    drawn: dict[str, Any]
    """For draw_nuclei."""
    changed: Callable[[np.ndarray], np.ndarray]
    """What the microscope does to the image, or the user before prediction."""
    asked: dict[str, Any]
    """Of se.load, what helps."""
    threshold: float | None = None
    mended: Callable[[np.ndarray], np.ndarray] = np.asarray
    words: str = ""
    """What the picture says of the remedy."""


def as_it_is(image: np.ndarray) -> np.ndarray:
    return image


def inverted(image: np.ndarray) -> np.ndarray:
    return image.max() - image


def out_of_focus(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 30, image.shape)
    blurred = ndimage.gaussian_filter(image.astype(float), 5)
    return np.asarray((blurred + noise).clip(0, 65535)).astype(np.uint16)


def half_of_them_dim(image: np.ndarray) -> np.ndarray:
    """About half of the nuclei give a seventeenth of their light; the noise stays."""
    _, mask = draw_nuclei(**PLAIN)
    rng = np.random.default_rng(0)
    nearest = ndimage.distance_transform_edt(mask == 0, None, False, True)
    share = np.where(rng.random(mask.max() + 1) < 0.5, 0.06, 1)[mask[tuple(nearest)]]
    noise = rng.normal(0, 60, image.shape) * np.sqrt(1 - share**2)
    return (300 + (image - 300.0) * share + noise).clip(0, 65535).astype(np.uint16)


PLAIN = {"seed": 5, "side": 224, "count": 90}
CROWD = {**PLAIN, "count": 110, "overlap": 0.4}
LARGE = {"seed": 5, "side": 512, "count": 30, "size": 8}
SMALL = {**PLAIN, "count": 900, "size": 0.3}
FAILURES = {
    "touching": Failure(CROWD, as_it_is, {"diameter": 10}, words="--diameter 10"),
    "large": Failure(LARGE, as_it_is, {"diameter": 160}, words="--diameter 160"),
    "small": Failure(SMALL, as_it_is, {"diameter": 6}, words="--diameter 6"),
    "blurred": Failure(PLAIN, out_of_focus, {}, 0.7, words="--seed_threshold 0.7"),
    "dark": Failure(PLAIN, inverted, {"invert": True}, words="--invert"),
    "dim": Failure(PLAIN, half_of_them_dim, {}, mended=np.log1p, words="np.log1p(image)"),
}


def outcome(failure: Failure) -> tuple[np.ndarray, list[tuple[str, np.ndarray, Judgement]]]:
    """The image as it is shown, and under each title what was found as it is and with the help."""
    image, mask = draw_nuclei(**failure.drawn)
    image = failure.changed(image)
    found = {"nuclei": se.load("nuclei").predict(image)}
    model = se.load("nuclei", **failure.asked)
    found[failure.words] = model.predict(
        failure.mended(image), seed_threshold=failure.threshold or model.settings()[0]
    )
    told = []
    for title, one in found.items():
        verdict = judge(one.label_map, mask)
        shown = found_against_truth(failure.mended(image), one.label_map, mask)
        told.append((title, shown, verdict))
    return to_rgb(image), told


def failures() -> None:
    """A picture of each failure: the image, what is found in it, and what with the remedy."""
    for name, failure in FAILURES.items():
        image, told = outcome(failure)
        tiles = [Tile(title, shown, verdict_key(verdict)) for title, shown, verdict in told]
        picture = panel([Tile("image", image), *tiles], tile_width=380)
        save_picture(OUT / f"failure_{name}.png", picture)
        print(name, *(f"{title}: {verdict_key(verdict)}" for title, _, verdict in told))


def main() -> None:
    """Write the sheet, the views that the pages show one by one, and the failures."""
    model, image = se.load("nuclei"), draw_nuclei()[0]
    output = model.raw(image)
    explanation = model.explanation(image, output, model.cluster(output))
    save_picture(OUT / "sheet.png", explain(explanation))
    for view in ("offsets", "margins", "seeds", "embeddings"):
        picture = explanation.picture(view)
        scale = 672 // picture.shape[1]
        save_picture(OUT / f"{view}.png", picture.repeat(scale, 0).repeat(scale, 1))
    failures()


if __name__ == "__main__":
    main()
