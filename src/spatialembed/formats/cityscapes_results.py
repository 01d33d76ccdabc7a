"""Cityscapes' instance-level submission format: a text file an image, and a mask an instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path

import numpy as np
from PIL import Image

from spatialembed.data.layouts.cityscapes import LABEL_IDS
from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write
from spatialembed.formats.limits import class_ids, image_size
from spatialembed.instances import Instances


def write_cityscapes_results(
    folder: str | Path, stem: str, instances: Instances, label_ids: Mapping[str, int]
) -> Path:
    """Write one image's instances in the Cityscapes instance-level submission format.

    ``folder/stem.txt`` has a line "mask labelId score" for each instance; masks are 8-bit PNGs of
    the whole image, 0 or 255, in ``folder/masks``. The text file comes last: where it exists, its
    masks do. Masks of more instances than there are now are removed.

    Args:
        stem: name of the image up to ``_leftImg8bit``, by which the official script finds it.
        label_ids: Cityscapes labelId of every class name.

    Returns:
        The text file.

    Raises:
        UserError: a stem with white space, which the format cannot hold, or a failed write.
        ValueError: a class without a labelId, a volume, or a label map that was changed.
    """
    image_size(instances.label_map)
    if len(stem.split()) != 1:
        raise UserError(
            f"Cityscapes results cannot hold the name {stem!r}: rename it without spaces"
        )
    instances.require_unchanged()
    ids = class_ids(instances, label_ids)  # before a file is written: all of them or none
    folder = Path(folder)
    lines = []
    for k in range(len(instances)):
        mask = np.zeros(instances.label_map.shape, np.uint8)
        mask[instances.window(k)][instances.mask(k)] = 255
        name = f"masks/{stem}_{k}.png"
        # Level 1: the default takes twice as long to save 7 kB of a mask of 1024 x 2048.
        with atomic_write(folder / name) as temporary:
            Image.fromarray(mask).save(temporary, format="PNG", compress_level=1)
        # As repr gives it, not rounded: the official script ranks by what stands here.
        lines.append(f"{name} {ids[k]} {float(instances.scores[k])!r}\n")
    with atomic_write(folder / f"{stem}.txt") as temporary:
        temporary.write_text("".join(lines))
    # Counted on, not globbed: a pattern for image 1 would take the masks of image 1_0 too.
    former = (folder / f"masks/{stem}_{k}.png" for k in count(len(instances)))
    for path in takewhile(Path.exists, former):
        path.unlink()
    return folder / f"{stem}.txt"


def cityscapes_ids(class_names: Sequence[str]) -> dict[str, int]:
    """Cityscapes' label ids of these classes.

    Raises:
        UserError: a class that Cityscapes does not have.
    """
    unknown = [name for name in class_names if name not in LABEL_IDS]
    if unknown:
        raise UserError(
            f"Cityscapes has no class {', '.join(map(repr, unknown))}; "
            "write label or COCO results for this model"
        )
    return {name: LABEL_IDS[name] for name in class_names}
