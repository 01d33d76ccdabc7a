"""The pictures of these pages, made anew: the shipped model of nuclei on a generated image.

python docs/pictures.py
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

import spatialembed as se
from spatialembed.pictures import explain, save_picture

OUT = Path(__file__).parent / "pages" / "pictures"


def nuclei(side: int = 224, count: int = 90, seed: int = 3) -> np.ndarray:
    """(side, side) uint16: bright ellipses of uneven texture side by side, blurred and noisy."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    image = np.full((side, side), 300.0)
    taken = np.zeros((side, side), bool)
    for _ in range(count):
        cy, cx = rng.uniform(8, side - 8, 2)
        long, short, turn = rng.uniform(9, 15), rng.uniform(7, 10), rng.uniform(0, np.pi)
        along = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        across = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        inside = (along / long) ** 2 + (across / short) ** 2 < 1
        if (inside & taken).any():
            continue
        taken |= inside
        texture = ndimage.gaussian_filter(rng.normal(size=(side, side)), 2) * 4
        image[inside] = (rng.uniform(2500, 6000) * (1 + 0.25 * texture))[inside]
    image = ndimage.gaussian_filter(image, 1.0) + rng.normal(0, 60, image.shape)
    return image.clip(0, 65535).astype(np.uint16)


def main() -> None:
    """Write the sheet and the views that the pages show one by one."""
    model, image = se.load("nuclei"), nuclei()
    output = model.raw(image)
    explanation = model.explanation(image, output, model.cluster(output))
    save_picture(OUT / "sheet.png", explain(explanation))
    for view in ("offsets", "margins", "seeds", "embeddings"):
        picture = explanation.picture(view)
        scale = 672 // picture.shape[1]
        save_picture(OUT / f"{view}.png", picture.repeat(scale, 0).repeat(scale, 1))


if __name__ == "__main__":
    main()
