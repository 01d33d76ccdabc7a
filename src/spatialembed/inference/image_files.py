"""Which images are meant: files, folders and patterns, each with the name of its results."""

from __future__ import annotations

import glob
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spatialembed.data.images.kinds import SUFFIXES, ZARR, is_plane_folder, is_zarr
from spatialembed.data.images.pixel_size import pixel_size, plane_pixel_size
from spatialembed.data.images.reading import is_stack, stack_size, stack_spacing
from spatialembed.data.images.series import Series
from spatialembed.data.images.spacing import ALIKE, Spacing
from spatialembed.data.images.spacing import in_words as spacing_in_words
from spatialembed.data.images.vendor_image import vendor_remark
from spatialembed.data.layouts.pairs import made_of_others
from spatialembed.data.layouts.unread_files import (
    DOCUMENTS,
    STORES,
    in_results,
    in_words,
    is_visible,
    refuse_results,
    walk,
)
from spatialembed.errors import UserError
from spatialembed.files.described import such
from spatialembed.files.names import composed

if TYPE_CHECKING:
    from spatialembed.data.data_set import DataSet
    from spatialembed.inference.predictor import Model

TRUTH = ("masks", "labels", "ignore")
"""Folders beside images/ that hold what is known of these."""


class ImageFile(NamedTuple):
    """An image to predict, and the path of its results below the output folder, no suffix."""

    path: Path
    name: str
    series: Series = None
    """Which of the images in the file, from 0, or also its level and channels; None for all of the
    only one."""
    spacing: Spacing | None = None
    """Micrometres between the voxels of a stack, whatever its file states; None for that."""


def find_images(
    inputs: Sequence[str | Path],
    out: Path,
    tell: Callable[[str], None] = lambda text: None,
    stacks: bool = False,
) -> list[ImageFile]:
    """Images of files, folders (with their subfolders) and patterns such as ``day?/*.tif``.

    Results of a folder's images keep their place in it. Where ``out`` is inside of a folder, what
    it holds is left out, so that results are never taken for images. Hidden files and folders are
    no images.

    Where stacks are meant, an OME-Zarr is one, and so is a folder of planes, as
    :func:`~spatialembed.data.images.reading.read_stack` takes it: it holds nothing but images of
    one plane and size, numbered without gaps. That a folder is taken for one is told.

    Args:
        inputs: files, folders and patterns.
        out: where results will go.
        tell: takes sentences: on files of other formats, which are left out, and on folders that
            are taken for stacks, or are not.
        stacks: whether stacks are meant.

    Raises:
        UserError: an input that does not exist or holds no image, two images whose results would
            have one name, results that would lie among the images, or images that are results.
    """
    images: dict[str, ImageFile] = {}
    place = cache(Path.resolve)  # of folders: of each of a million files it would take minutes
    for given in inputs:
        for image in _expand(str(given), out, tell, stacks):
            # Not all disks know Größe from its decomposed form, or A from a.
            other = images.setdefault(composed(image.name).casefold(), image)
            if other is not image and other.path.resolve() != image.path.resolve():
                raise UserError(
                    f"{other.path} and {image.path} would both write '{image.name}'; "
                    "predict them into two folders"
                )
            into = place((out / image.name).parent)
            inside = stacks and place(image.path) in (into, *into.parents)
            if inside or into == place(image.path.parent):
                raise UserError(
                    f"results of {image.path} would lie beside it, where label maps could replace "
                    "images; choose another folder"
                )
    refuse_results(image.path for image in images.values())
    kept = [i.path for i in images.values() if stacks and is_plane_folder(i.path)]
    folders = [folder for folder in kept if is_stack(folder)]
    if folders:
        alike = such(folders, "folders")
        tell(f"the files of {folders[0]} are taken for the planes of one stack{alike}")
    return list(images.values())


def spacing_of(
    image: ImageFile, model: Model, notes: list[str], stack: bool = False
) -> tuple[float, ...] | None:
    """Micrometres between an image's pixels along (y, x), or a stack's voxels along (z, y, x).

    None where neither the file states them nor the model was told. Where it is not known how far
    planes lie apart, None for a model of volumes, and for one of images along (y, x) alone. What
    else there is to say of them, and of the file, is put to the ``notes``.
    """
    stated: tuple[float, ...] | None
    try:
        if remark := vendor_remark(image.path, image.series):
            notes.append(remark)
        stated = (stack_spacing if stack else pixel_size)(image.path, image.series)
        if stack and stated is None:
            stated = plane_pixel_size(image.path, image.series)
    except UserError as error:  # what is read otherwise may state it in a broken way
        notes.append(f"how large its pixels are cannot be read: {error}")
        stated = None
    if image.spacing is not None:
        pairs = list(zip(reversed(stated or ()), reversed(image.spacing), strict=False))
        if any(abs(one / asked - 1) > ALIKE for one, asked in pairs):
            said = " x ".join(f"{one:.3g}" for one in stated or ())
            notes.append(
                f"its file states {said} µm; its voxels are taken for "
                f"{spacing_in_words(image.spacing)}, as asked"
            )
        stated = image.spacing
    side, known = model.pixel_size, stated
    if side is not None:
        if stated is not None and any(abs(one / side - 1) > ALIKE for one in stated[-2:]):
            said = " x ".join(f"{one:.3g}" for one in dict.fromkeys(stated[-2:]))
            notes.append(
                f"its file states pixels of {said} µm; they are taken for {side:.3g}, as asked"
            )
        known = (*(stated or ())[:-2], side, side)
    if not stack or known is None or len(known) == 3:
        return known
    notes.append(
        "its file does not state how far its planes lie apart, so that its results have no "
        "micrometres: store it with its spacing along z, too, or give it to predict with "
        "--spacing Z Y X"
    )
    return known if model.spec.dims == 2 else None


def spacing_in(data: DataSet, i: int, model: Model) -> tuple[float, ...] | None:
    """That of volume ``i`` of a data set, or of image ``i`` where the model has one to compare."""
    is_volume, known = model.spec.dims == 3, (model.spec.pixel_size, model.pixel_size)
    if not is_volume and known == (None, None):
        return None
    return spacing_of(ImageFile(data.files(i)[0], data.names[i]), model, [], is_volume)


def _expand(
    given: str, out: Path, tell: Callable[[str], None], stacks: bool
) -> Iterator[ImageFile]:
    path = Path(given)
    if stacks and path.is_dir() and (is_zarr(path) or is_stack(path)):
        yield ImageFile(path, _name(Path(path.resolve().name)))
    elif path.suffix == ".zarr" and not stacks:
        raise UserError(f"{path} is predicted by itself: give --out a name ending in .zarr")
    elif path.is_dir():
        skip = None if out.resolve() == path.resolve() else out.resolve()
        inside, others = walk(path, skip, (*SUFFIXES, ZARR) if stacks else SUFFIXES)
        if others:
            tell(f"{path}: {in_words(others)}")
        inside = _without_truth(path, inside, tell)
        for file in _joined(inside, tell) if stacks else inside:
            own = Path(path.resolve().name) if file == path else file.relative_to(path)
            yield ImageFile(file, _name(own))
        if not inside:
            raise UserError(f"{path} has no image; expected files ending in {', '.join(SUFFIXES)}")
    elif path.exists():
        yield ImageFile(path, path.stem)
    else:
        matches = [Path(match) for match in sorted(glob.glob(given, recursive=True))]
        matches = [match for match in matches if is_visible(match)]
        images = _without_results([match for match in matches if _is_image(match, stacks)], out)
        stores = (m for m in matches if m.is_file() or m.suffix.lower() in STORES)
        left = Counter(store.suffix.lower() for store in stores if not _is_image(store, stacks))
        if told := in_words({s: n for s, n in left.items() if s not in DOCUMENTS}):
            tell(f"{given}: {told}")
        if not images:
            raise UserError(f"{given} does not exist; give images, folders or a pattern")
        folders = {image for image in images if stacks and image.is_dir()}
        yield from (ImageFile(i, _name(Path(i.name))) for i in images if i.parent not in folders)


def _without_truth(root: Path, files: list[Path], tell: Callable[[str], None]) -> list[Path]:
    """Files below a folder but what was predicted before, and masks beside a folder of images or
    each beside its image, as data sets have them.
    """
    is_result = in_results(root)

    @cache
    def is_truth(folder: Path) -> bool:
        beside = folder.name in TRUTH and folder.with_name("images").is_dir()
        return folder != root and (beside or is_truth(folder.parent))

    left = {file.parent for file in files if is_truth(file.parent) or is_result(file.parent)}
    files = [file for file in files if file.parent not in left]
    names = defaultdict(list)
    for file in files:
        names[file.parent].append(file.name)
    masks = {folder / name for folder, inside in names.items() for name in made_of_others(inside)}
    if left or masks:
        count = len(left) + len(masks)
        more = f" (and {count - 1} more such)" if count > 1 else ""
        tell(
            f"{min(left or masks)}, beside images as masks or results are, is left out{more}; give "
            "it by its own name where it is to be predicted"
        )
    return [file for file in files if file not in masks]


def _joined(files: list[Path], tell: Callable[[str], None]) -> list[Path]:
    """Files; those of a folder of planes are one, the folder. So are several of which none is a
    stack, with none below: reading the folder says why not, once. Of others it is told why not,
    where the first file is no stack.
    """
    held = defaultdict(list)
    for file in files:
        held[file.parent].append(file)
    above = {parent for folder in held for parent in folder.parents}
    folders: set[Path] = set()
    for folder, inside in held.items():
        try:
            stack_size(folder)
            folders.add(folder)
        except UserError as error:
            if len(inside) > 1 and folder not in above and not any(map(is_stack, inside)):
                folders.add(folder)
            elif not is_stack(inside[0]):
                tell(str(error))
    return sorted({file.parent if file.parent in folders else file for file in files})


def _name(path: Path) -> str:
    """A path without the suffix of an image; the name of a folder may have a dot."""
    return (path.with_suffix("") if path.suffix.lower() in (*SUFFIXES, ZARR) else path).as_posix()


def _without_results(images: list[Path], out: Path) -> list[Path]:
    """Images that do not lie below the folder of results."""
    below = {
        folder
        for folder in {image.parent for image in images}
        if folder.resolve().is_relative_to(out.resolve())
    }
    return [image for image in images if image.parent not in below]


def _is_image(path: Path, stacks: bool) -> bool:
    if path.is_dir():
        return stacks and (is_zarr(path) or is_stack(path))
    return path.suffix.lower() in SUFFIXES and path.is_file()
