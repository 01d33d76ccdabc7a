"""Which mask is that of which image: by equal stems, in images/ and masks/ or side by side."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from spatialembed.data.data_set import Problem
from spatialembed.data.images.kinds import LOSSY_SUFFIXES, image_names, is_zarr
from spatialembed.data.images.reading import is_stack, stack_size
from spatialembed.data.layouts.other_layouts import WORDS_FOR_MASKS, other_layout
from spatialembed.data.layouts.splits import beside, split_of, splits_in
from spatialembed.data.layouts.unread_files import corrected_since, left_out_of
from spatialembed.data.sample_files import row
from spatialembed.errors import UserError
from spatialembed.files.names import composed, is_hidden, stem

_MASKS = "_masks"
_CELLPOSE_MASKS = "_cp_masks"  # as its window and its command write them
_OTHER = ("_flows", "_dP", "_outlines", "_cp_output", "_overlay")  # neither images nor masks
_PARTS = ("images", "masks", "ignore")


def holds_pairs(folder: Path) -> bool:
    """Whether a folder holds images and their masks, without folders of splits."""
    return (folder / "masks").is_dir() or any(_ends(name, _MASKS) for name in image_names(folder))


def made_of_others(names: Sequence[str]) -> set[str]:
    """Those of a folder's files that are masks or pictures of others there, as x_masks.png, or what
    Cellpose writes beside it, is of x.png."""
    made = {name for name in names if _ends(name, _MASKS, *_OTHER)}
    others = [name for name in names if name not in made]
    stems = {stem(name, *ending) for name in others for ending in ((), ("_img",))}
    return {name for name in made if stem(name, _CELLPOSE_MASKS, _MASKS, *_OTHER) in stems}


def target_names(folder: Path) -> list[str]:
    """Names of folders in masks/, each with masks of one target for the images beside, sorted.

    A folder of an image's own name holds the masks of its objects, and is none.

    Raises:
        UserError: there are masks beside such folders, or ignored regions of no target.
    """
    names, masks = image_names(folder / "images"), folder / "masks"
    stems = {stem(name) for name in names} | {stem(name, "_img") for name in names}
    inside = set(_folders_in(masks).values()) - stems
    held = {name: {stem(mask, _MASKS) for mask in image_names(masks / name)} for name in inside}
    found = sorted(name for name in inside if not stems.isdisjoint(held[name]))
    if found and image_names(masks):
        raise UserError(
            f"{masks} holds both masks and folders of masks, such as {found[0]}: for one target "
            "move the folders away, for several move the masks into a folder of their own"
        )
    return found


def require_ignore_of(names: Sequence[str], folder: Path) -> None:
    """Refuse ignored regions in a split's folder that are of none of several targets.

    Raises:
        UserError: there are some.
    """
    ignore = folder / "ignore"
    others = {*_folders_in(ignore).values(), *image_names(ignore)} - set(names)
    if others:
        raise UserError(
            f"{ignore / min(others)} is of none of the targets {' and '.join(names)}: move what is "
            f"ignored of each into a folder of its name, such as {ignore / names[0]}"
        )


def pairs(root: Path, folder: Path, target: str = "") -> tuple[list[str], list[Problem]]:
    """Rows of the files of each sample below ``root`` in a split's folder, and what is wrong.

    Of a target, if one is named, whose masks are in a folder of its name.

    Raises:
        UserError: there is no image or no mask.
    """
    if (folder / "images").is_dir() or (folder / "masks").is_dir():
        masks = _Named(folder / "masks" / target, _MASKS)
        images = _Named(folder / "images", "_img", kept=masks.by_stem)
        unknown = _Named(folder / "ignore" / target, "_ignore")
        where = str(masks.folder / "{}.png (or .tif)")
        if taken := _add_folders((images, masks, unknown)):
            where = str(folder / "masks" / "{0}") + " (a folder of planes) or {0}.tif"
        parts = (part.folder for part in (images, masks, unknown))
        left = [each for part in parts for each in left_out_of(part, taken=taken)]
        if taken:
            message = "holds folders, each taken for a volume and its files for the planes of it"
            left.append(Problem(images.folder, message, warning=True))
        if folder != root or not splits_in(root)[0]:
            left += beside(folder, _PARTS, f"put them into {folder / 'images'} and masks")
    else:
        names = image_names(folder)
        masks = _Named(folder, _MASKS, _masks_of(names))
        plain = [name for name in names if not _ends(name, _MASKS, *_OTHER)]
        images = _Named(folder, "_img", plain, kept=masks.by_stem)
        unknown = _Named(folder / "ignore", "_ignore", [])
        where = str(folder / ("{}" + _MASKS + ".png (or .tif)"))
        left = [*left_out_of(folder, ("_seg.npy",))]
        written = [name for name in names if _ends(name, _CELLPOSE_MASKS)]
        left += corrected_since(folder, written, root)
    complete = images.by_stem and masks.by_stem
    other = "" if complete or not (told := other_layout(root)) else f"; {told}"
    if not images.by_stem:
        other = other or _no_volumes(folder) or "".join(f"; {problem}" for problem in left)
        raise UserError(f"{images.folder} has no image; put images with their masks there{other}")
    if not masks.by_stem:
        needed = where.format("NAME")
        if inside := sorted(_folders_in(folder / "masks").values()):
            of_target = folder / "masks" / inside[0] / "NAME.png"
            needed += f", or of a target {of_target}, NAME as the image's,"
        name, *_ = images.by_stem
        hint = _to_rename(masks.folder, name, image_names(masks.folder))
        raise UserError(f"{folder} has no mask; expected {needed} for every image{hint}{other}")
    rows, problems = _match(root, images, masks, unknown, where)
    return rows, [*problems, *left]


def _add_folders(parts: Sequence[_Named]) -> set[str]:
    """Where folders are volumes add them to images, masks and ignore, and give their names.

    They are where images/ holds no image but folders, one of which, and its mask, is a stack; a
    folder of a split's name is none. That of plates may look the same, so that it is told.
    """
    images, masks, _ = parts
    inside = [_folders_in(part.folder) for part in parts]
    if images.by_stem or not any(
        is_stack(images.folder / folder)
        and (name in masks.by_stem or is_stack(masks.folder / inside[1].get(name, name)))
        for name, folder in inside[0].items()
        if split_of(name) is None
    ):
        return set()
    for part, folders in zip(parts, inside, strict=True):
        part.add((folder, name) for name, folder in folders.items())
    return {folder for folders in inside for folder in folders.values()}


def _no_volumes(folder: Path) -> str:
    """Why the folders in a split's images/ and masks/ are no volumes; empty without such."""
    masks = _folders_in(folder / "masks")
    for name, own in _folders_in(folder / "images").items():
        for planes in (folder / "images" / own, folder / "masks" / masks.get(name, name)):
            try:
                if planes.is_dir():
                    stack_size(planes)
            except UserError as error:
                return f", or, if its folders hold the planes of a volume each: {error}"
    return ""


def _folders_in(folder: Path) -> dict[str, str]:
    """Names of folders by these, composed."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    kept = (name for name in names if not is_hidden(name) and not is_zarr(Path(name)))
    return {composed(name): name for name in kept}


def _masks_of(names: Sequence[str]) -> list[str]:
    """Names of masks beside images; those that Cellpose wrote where there are no others."""
    own = [name for name in names if _ends(name, _MASKS) and not _ends(name, _CELLPOSE_MASKS)]
    held = {stem(name, _MASKS) for name in own}
    written = (name for name in names if _ends(name, _CELLPOSE_MASKS))
    return [*own, *(name for name in written if stem(name, _CELLPOSE_MASKS) not in held)]


class _Named:
    """Files of one folder by stem without ``ending``, or whole where it is one of ``kept``.

    Of two of one stem, either may be meant.
    """

    def __init__(
        self, folder: Path, ending: str, names: list[str] | None = None, kept: Container[str] = ()
    ) -> None:
        self.folder = folder
        self.by_stem: dict[str, str] = {}
        self.problems: list[Problem] = []
        found = image_names(folder) if names is None else names
        for name in found:
            whole = stem(name)
            plain = whole if whole in kept else stem(name, _CELLPOSE_MASKS, ending)
            self.add([(name, plain)])

    def add(self, named: Iterable[tuple[str, str]]) -> None:
        """Add files of such stems."""
        for name, plain in named:
            if (other := self.by_stem.setdefault(plain, name)) is not name:
                message = f"has the stem of {self.folder / other}; remove one of them"
                self.problems.append(Problem(self.folder / name, message))


def _match(
    root: Path, images: _Named, masks: _Named, unknown: _Named, where: str
) -> tuple[list[str], list[Problem]]:
    problems = [*images.problems, *masks.problems, *unknown.problems]
    # Joined as text: of a million files, paths take some fifteen times as long to make.
    starts = [os.path.join(*n.folder.relative_to(root).parts, "") for n in (images, masks, unknown)]
    rows: list[str] = []
    missing: list[str] = []
    for name, image in sorted(images.by_stem.items()):
        mask = masks.by_stem.get(name)
        if mask is None:
            message = f"has no mask; expected {where.format(name)}"
            if not missing:  # of one, as it is the same with the others
                message += _to_rename(masks.folder, name, image_names(masks.folder))
            missing.append(name)
            problems.append(Problem(images.folder / image, message))
        elif mask.lower().endswith(LOSSY_SUFFIXES):
            message = "is in a lossy format, which changes ids; use PNG or TIFF"
            problems.append(Problem(masks.folder / mask, message))
        else:
            files = [image, mask, *filter(None, [unknown.by_stem.get(name)])]
            rows.append(row(name, *map("".join, zip(starts, files, strict=False))))
    for named in (masks, unknown):
        message = "is a mask without an image; is it misnamed?"
        problems += [
            Problem(named.folder / named.by_stem[name], message, warning=True)
            for name in sorted(set(named.by_stem) - set(images.by_stem))
        ]
    return rows, problems


def _to_rename(folder: Path, image: str, names: Sequence[str]) -> str:
    """That a file of a folder, named as an image but for a word such as mask, is to be renamed."""
    for name in names:
        before, found, after = stem(name).partition(image)
        if found and any(word in f"{before} {after}".lower() for word in WORDS_FOR_MASKS):
            return f"; rename {folder / name} so, and others like it, if it is one"
    return ""


def _ends(name: str, *endings: str) -> bool:
    return stem(name).endswith(endings)
