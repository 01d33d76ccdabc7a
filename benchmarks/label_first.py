"""Whether the images that ``check --label_first`` names stand for all better than random ones do.

    python benchmarks/label_first.py DSB2018 HISTOLOGY ...     # label folders, of a kind each

Of the first one, how far the objects of its training images (log median diameter, log number per
pixel, share of pixels, each divided by its spread) are from those of the nearest image named; of
all, up to 12 images each, how many kinds are among those named. Masks take no part in the naming.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from measure import write_table
from spatialembed.data.checks.label_first import distances, features, representatives
from spatialembed.data.images.reading import read_image, read_mask

COUNTS, DRAWS, EACH = (5, 10), 100, 12


def images(data: Path) -> list[Path]:
    """Training images of a label folder."""
    return sorted((data / "train" / "images").iterdir())


def objects(image: Path) -> list[float]:
    """Log median diameter, log number per pixel and share of pixels of the objects of an image."""
    mask = read_mask(image.parent.parent / "masks" / image.name)
    areas = np.bincount(mask.ravel())[1:]
    areas = areas[areas > 0]
    middle = float(np.median(areas)) if len(areas) else 1.0
    return [np.log(middle) / 2, np.log((len(areas) + 1) / mask.size), (mask > 0).mean()]


def row(what: str, count: int, named: float, random: list[float]) -> list[str]:
    """A row of the table; the ± is the spread of a random draw."""
    return [what, str(count), f"{named:.2f}", f"{np.mean(random):.2f} ± {np.std(random):.2f}"]


def main() -> None:
    """Choose, draw, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path, nargs="+")
    given = parser.parse_args()
    rng, rows = np.random.default_rng(0), []
    first = images(given.data[0])
    seen = {image: features(read_image(image)) for image in first}
    truth = np.array([objects(image) for image in first])
    unlike = cdist(truth / truth.std(0), truth / truth.std(0))
    of_one = distances(list(seen.values()))
    kinds, pool = np.zeros(0, int), []
    for kind, data in enumerate(given.data):
        some = images(data)
        some = [some[i] for i in np.linspace(0, len(some) - 1, min(EACH, len(some))).astype(int)]
        pool += [seen[i] if i in seen else features(read_image(i)) for i in some]
        kinds = np.append(kinds, np.full(len(some), kind))
    of_all = distances(pool)
    for count in COUNTS:
        draws = [rng.choice(len(first), count, replace=False) for _ in range(DRAWS)]
        far = [unlike[:, draw].min(1).mean() for draw in [representatives(of_one, count), *draws]]
        what = f"distance of objects, {len(first)} images of {given.data[0].name}"
        rows.append(row(what, count, far[0], far[1:]))
    for count in COUNTS:
        draws = [rng.choice(len(pool), count, replace=False) for _ in range(DRAWS)]
        held = [len(set(kinds[draw])) for draw in [representatives(of_all, count), *draws]]
        what = f"kinds of {len(given.data)}, {len(pool)} images"
        rows.append(row(what, count, held[0], held[1:]))
    header = ["measured", "images named", "named", f"{DRAWS} random draws"]
    names = " ".join(data.name for data in given.data)
    write_table("label_first", header, rows, names, "accuracy.md")


if __name__ == "__main__":
    main()
