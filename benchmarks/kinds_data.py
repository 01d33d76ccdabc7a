"""The kinds of image that kinds.py trains on, split by picture, and a few images of one of them."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tifffile

from spatialembed.data.index import build_object_index
from spatialembed.data.layouts.groups import grouped, held_groups
from spatialembed.data.open import open_data
from spatialembed.errors import UserError

KINDS = {
    "fluorescence": ("dsb2018",),
    "tissue": ("histology",),
    "cytology": ("cytology",),
    "phase": ("phase",),
    "bacteria": ("bacteria_colony", "bacteria_dapi", "bacteria_ecoli"),
    "grains": ("grains",),
    "generated": ("generated_worms", "generated_blobs", "generated_dense"),
}
"""Of each kind its sets, FOLDER or FOLDER_START: images of a folder whose names start so."""

DRAWN = "generated"
"""The kind that generated.py draws; a network is trained without it to see whether it helps."""

FEW_OF = {"bacteria": "bacteria_ecoli"}
"""Of a kind of several sets the one that few images are taken of."""

GROUPS: dict[str, Callable[[str], str]] = {
    "phase": lambda name: str((int(name[3:]) - 1) // 5),  # neighbours may be of one dish
    "bacteria_colony": lambda name: "late" if int(name[-2:]) >= 12 else "early",  # a film
    "bacteria_ecoli": lambda name: name[len("ecolibf") :],  # both images of one field
}
"""Of a set the group of an image by its name; of others each is its own, but for these."""

TABLES = ("dsb2018", "histology")
"""Sets whose images are tiles of larger pictures, which DATA/SET_pictures.csv names."""

HOLDOUT = 0.15
PARTS = ("images", "masks", "ignore")


def kinds_in(root: Path) -> dict[str, tuple[str, ...]]:
    """Of each kind whose folder is there its sets.

    Raises:
        UserError: there is none.
    """
    found = {kind: sets for kind, sets in KINDS.items() if _source(root, sets[0]).is_dir()}
    if not found:
        raise UserError(f"{root} has no folder of a kind, such as {_source(root, 'dsb2018')}")
    return found


def split(root: Path, sets: Sequence[str], out: Path) -> None:
    """Links to the training images of each set, in OUT/SET/{train,val}; val are whole groups.

    Raises:
        UserError: a set without images, or without its table of pictures.
    """
    for name in sets:
        source = _source(root, name)
        images = (source / "images").glob(f"{name.partition('_')[2]}*.tif")
        stems = sorted(image.stem for image in images)
        of = _groups(root, name, stems)
        held = held_groups(of, HOLDOUT)
        for part in ("train", "val"):
            _link(source, [s for s in stems if (of[s] in held) == (part == "val")], out, name, part)


def _groups(root: Path, name: str, stems: Sequence[str]) -> dict[str, str]:
    """The group of each image of a set."""
    if name in TABLES:
        return grouped(stems, str(root / f"{name}_pictures.csv"))[0]
    group = GROUPS.get(name, str)
    return {stem: group(stem) for stem in stems}


def few(folder: Path, count: int, seed: int, out: Path) -> Path:
    """A data set of so many training images of another, drawn by the seed; they are val, too.

    So a run that calibrates does so by the same images, and by none that it was not given.
    """
    stems = sorted(image.stem for image in (folder / "train" / "images").iterdir())
    drawn = np.random.default_rng(seed).permutation(stems)[:count]
    for part in ("train", "val"):
        _link(folder / "train", list(map(str, drawn)), out.parent, out.name, part)
    return out


def diameters(folder: Path, sets: Sequence[str]) -> dict[str, float]:
    """Median diameter of the training objects of each set in pixels; they are read once."""
    path = folder / "diameters.json"
    known: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
    for name in sets:
        if name not in known:
            index = build_object_index(open_data(folder / name, "train")).without_specks()
            known[name] = float(np.median(index.diameter))
    path.write_text(json.dumps(known))
    return known


def generate(root: Path) -> Path:
    """Two small kinds in color: bright objects, and larger dark ones, two images a picture."""
    for folder, size in (("cytology", 9), ("histology", 13)):
        for number in range(6):
            rng = np.random.default_rng(number)
            mask = np.zeros((64, 64), np.uint16)
            for k, (y, x) in enumerate(np.argwhere(np.ones((3, 3))) * 20 + rng.integers(0, 6, 2)):
                mask[y : y + size, x : x + size] = k + 1
            image = (mask > 0) * 90 + rng.integers(0, 40, mask.shape)
            image = np.stack([image, image // 2, image], -1)
            if folder == "histology":
                image = 220 - image
            for part, pixels in (("images", image.astype(np.uint8)), ("masks", mask)):
                path = root / folder / "train" / part / f"{number}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, pixels)
    rows = [f"{number},{number // 2}" for number in range(6)]
    (root / "histology_pictures.csv").write_text("\n".join(["image,picture", *rows, ""]))
    return root


def _source(root: Path, name: str) -> Path:
    return root.resolve() / name.partition("_")[0] / "train"


def _link(source: Path, stems: Sequence[str], out: Path, name: str, part: str) -> None:
    for kind in PARTS:
        for stem in stems:
            file, link = source / kind / f"{stem}.tif", out / name / part / kind / f"{stem}.tif"
            if file.is_file():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.unlink(missing_ok=True)
                os.symlink(file.resolve(), link)
