"""The command ``convert``, as those of commands.py."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from spatialembed.console.output import console
from spatialembed.convert import Tool


def run_convert(
    data: Path,
    out: Path,
    to: Tool = "training",
    found: Path | None = None,
    crowds: Literal["ignore", "objects"] = "ignore",
) -> int:
    """Make of what an annotation tool wrote what training reads, or the other way round.

    Read are LabelMe, CVAT's xml, Label Studio's JSON, VGG Image Annotator, Ultralytics' text
    polygons, Cellpose's x_seg.npy, COCO, a mask for each object, and what training reads.

    Args:
        data: folder of what the tool wrote, unpacked, with its images.
        out: folder to make; it must not be there yet.
        to: label folders or COCO for training, or the tool to write for.
        found: of a folder of images, that of the labels which predict wrote for them.
        crowds: what COCO's annotations marked iscrowd are.
    """
    from spatialembed.convert.run import convert

    done = convert(data, out, to, found, crowds)
    console.print(f"Read: {done.read}", soft_wrap=True)
    console.print(f"Written: {done.written}", soft_wrap=True)
    for line in done.lost:
        console.print(f"note: {line}", soft_wrap=True)
    console.print(f"Next: {done.next}", soft_wrap=True)
    return 0
