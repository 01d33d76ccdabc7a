"""What is said of a folder whose layout is none that is read."""

from __future__ import annotations

from pathlib import Path

from spatialembed.data.layouts import cityscapes, coco, label_folder
from spatialembed.data.layouts.other_tools import other_layout
from spatialembed.files.names import is_hidden

PARTS = ("images", "masks", "labels", "annotations", "ignore")
"""Folders that are part of a data set and none of their own, whatever they hold."""


def unrecognized(root: Path) -> str:
    """The refusal of a folder: what lies there and the step that is missing."""
    return _inside(root) or other_layout(root) or _unknown(root)


def _inside(root: Path) -> str | None:
    """What to do where the folders in a folder are data sets of their own."""
    layouts = (cityscapes, coco, label_folder)
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and not is_hidden(f.name)][:20]
    found = [
        folder
        for folder in folders
        if folder.name not in PARTS and any(layout.recognize(folder) for layout in layouts)
    ]
    if len(found) == 1:
        return f"{root} is no data set, but {found[0]} in it is one: give that"
    if found:
        return (
            f"{root} is no data set, but {found[0]} and others in it are: give one of them; if "
            "each holds one image and a mask for each object, make label masks of these first"
        )
    return None


def _unknown(root: Path) -> str:
    inside = sorted(entry.name for entry in root.iterdir())
    held = ", ".join(inside[:6]) + (", ..." if len(inside) > 6 else "") if inside else "nothing"
    return (
        f"{root} holds no layout that is known; it needs leftImg8bit/ and gtFine/ (Cityscapes), "
        "annotations/*.json and images/ (COCO), {train,val,test}/images and masks with equal "
        f"stems, or x.png beside x_masks.png (label folders); it holds {held}"
    )
