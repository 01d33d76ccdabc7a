"""Opening a data set: the layout is recognised by what is in its folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote
from types import ModuleType

from spatialembed.data.data_set import HOLDOUT, SPLITS, Crowds, FileDataSet, Problem, Split
from spatialembed.data.images.kinds import image_names, is_vendor
from spatialembed.data.images.reading import image_size, is_stack
from spatialembed.data.layouts import cityscapes, coco, label_folder
from spatialembed.data.layouts.other_layouts import other_layout
from spatialembed.errors import UserError
from spatialembed.files.names import is_hidden

PARTS = ("images", "masks", "labels", "annotations", "ignore")
"""Folders that are part of a data set and none of their own, whatever they hold."""


def open_data(
    path: str | Path,
    split: Split = "train",
    class_names: Sequence[str] | None = None,
    holdout: float = HOLDOUT,
    crowds: Crowds = "ignore",
) -> FileDataSet:
    """Open one split of a data set in a Cityscapes, COCO or label folder layout.

    Args:
        path: the data set's folder; the layout is recognised by what is in it.
        split: which part. Where there is no "val", a share of "train" is held out by name.
        class_names: classes to take, in this order; the others are background. None: the
            layout's default (Cityscapes: car; COCO: every category; label folders: "object").
        holdout: share of the training images held out where there is no "val"; 0 for none.
        crowds: what COCO's annotations marked iscrowd are: "ignore" them, or "objects".

    Raises:
        UserError: no such folder, an unknown layout, a split or class that does not exist, an
            image without its truth.
    """
    data = scan_data(path, split, class_names, holdout, crowds)
    refuse(data.problems, path)
    if not data.items:
        held = "; held out of train, it needs two images there and a holdout above 0"
        raise UserError(f"{path} has no image in its {split} split{held * (split == 'val')}")
    return data


def scan_data(
    path: str | Path,
    split: Split = "train",
    class_names: Sequence[str] | None = None,
    holdout: float = HOLDOUT,
    crowds: Crowds = "ignore",
) -> FileDataSet:
    """As :func:`open_data`, but unmatched files are left in ``problems`` and nothing more."""
    root = Path(path)
    if split not in SPLITS:
        raise UserError(f"a split is one of {', '.join(SPLITS)}, not {split!r}")
    if not 0 <= holdout < 1:
        raise UserError(f"holdout is a share from 0 up to but not including 1, not {holdout}")
    if class_names is not None and (
        isinstance(class_names, str) or not 0 < len(set(class_names)) == len(class_names)
    ):
        raise UserError(f"class_names must be one or more different names, not {class_names!r}")
    if not root.exists():
        raise UserError(f"{root} does not exist; give the folder of a data set")
    if not root.is_dir():
        raise UserError(f"{root} is a file; give the folder of the data set it belongs to")
    layout = _layout_of(root)
    if layout is None:
        raise UserError(_data_sets_inside(root) or other_layout(root) or _unknown(root))
    if layout is coco:
        return coco.scan(root, split, class_names, holdout, crowds)
    if crowds != "ignore":
        raise UserError(f"crowds are of COCO data, and {root} is none; leave them out")
    data: FileDataSet = layout.scan(root, split, class_names, holdout)
    return data


def refuse(problems: Iterable[Problem], path: str | Path) -> None:
    """Raise a UserError of the first problem that is no warning, if there is one.

    Args:
        problems: of a data set.
        path: its folder, which ``check`` lists them of.
    """
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        others = f" (and {len(errors) - 1} more such)" if len(errors) > 1 else ""
        raise UserError(f"{errors[0]}{others}; `spatialembed check {path}` lists every problem")


def _layout_of(root: Path) -> ModuleType | None:
    """The module of the layout of a folder; None where it is none that is read."""
    # The surest names first: images with masks beside them may lie in a folder of any layout.
    return next((each for each in (cityscapes, coco, label_folder) if each.recognize(root)), None)


def _data_sets_inside(root: Path) -> str | None:
    """What to do where the folders in a folder are data sets of their own."""
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and not is_hidden(f.name)][:20]
    found = [folder for folder in folders if folder.name not in PARTS and _layout_of(folder)]
    if len(found) == 1:
        return f"{root} is no data set, but {found[0]} in it is one: give that"
    if found:
        return (
            f"{root} is no data set, but {found[0]} and others in it are: give one of them; if "
            "each holds one image and a mask for each object, "
            f"`spatialembed convert {quote(str(root))} OUT` makes one data set of them"
        )
    return None


def _about_scenes(root: Path) -> str:
    """Why the first of a microscope's files in a folder is not read, as where it holds several."""
    file = next((root / name for name in image_names(root) if is_vendor(Path(name))), None)
    if file is None or is_stack(file):
        return ""
    try:
        image_size(file)
    except UserError as error:
        return f"; {error}"
    return ""


def _unknown(root: Path) -> str:
    inside = sorted(entry.name for entry in root.iterdir())
    held = ", ".join(inside[:6]) + (", ..." if len(inside) > 6 else "") if inside else "nothing"
    return (
        f"{root} holds no layout that is known; it needs leftImg8bit/ and gtFine/ (Cityscapes), "
        "annotations/*.json and images/ (COCO), {train,val,test}/images and masks with equal "
        "stems, x.png beside x_masks.png (label folders), or what `spatialembed convert` takes; "
        f"it holds {held}; of images without masks `spatialembed check {root} --label_first 5` "
        f"names those to label first{_about_scenes(root)}"
    )
