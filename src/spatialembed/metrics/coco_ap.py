"""COCO's AP of masks, computed by faster-coco-eval (the numbers of pycocotools, sooner)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.errors import UserError, missing_extra, require_number

MAX_FOUND = 100
"""Found objects an image that the official evaluation looks at, the highest scores first."""

FARTHEST = 1e6
"""Pixels from the image's corner that a polygon may reach."""


def coco_ap(
    results: str | Path | Sequence[Mapping[str, Any]],
    ground_truth: str | Path | Mapping[str, Any],
    class_names: Sequence[str] | None = None,
    image_ids: Iterable[int] | None = None,
    max_found: int = MAX_FOUND,
) -> dict[str, Any]:
    """Mask AP by COCO's rules; crowd regions are ignored as there.

    Args:
        results: COCO results, a JSON file or its content: a list of ``{"image_id",
            "category_id", "segmentation": RLE, "score"}``. A "bbox" in it is not used. Ids may be
            words.
        ground_truth: COCO annotations, a JSON file or its content; left unchanged.
        class_names: categories to score; None for all of the ground truth's.
        image_ids: images to score; None for all of the ground truth's.
        max_found: found objects of an image and class that are scored. Only at 100 is the figure
            COCO's; raise it where images hold more, as in microscopy.

    Returns:
        ``{"classes": {name: F}, "mean": F, "images": count, "max_found": int, "images_cut":
        count}``, the last of images that have more found objects of a class; where F is
        ``{"AP", "AP50", "AP75", "APs", "APm", "APl"}`` in percent: AP averaged over IoU .50 to
        .95, and of true objects below 32², to 96², and above 96² pixels. None where there is no
        such true object; the mean is over the classes that have some.

    Raises:
        UserError: the 'eval' extra is missing; a file is not as COCO has it; an unknown class or
            image; a mask of another size than its image.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise missing_extra("COCO AP", "eval") from error
    max_found = int(require_number(max_found, "max_found", whole=True))
    if max_found < 1:
        raise UserError(f"max_found is a positive number of objects, not {max_found}")
    with _of_coco_form(f"{_named(ground_truth, 'the COCO annotations')} or the results"):
        content, image_numbers, category_numbers = _truth_content(ground_truth)
        truth = COCO(content)
        _complete_areas(truth)
        categories = _category_ids(content["categories"], class_names)
        asked = list(image_numbers if image_ids is None else image_ids)
        _known(asked, image_numbers, "image_ids")
        images = sorted({image_numbers[each] for each in asked})
        found = _results_content(results, image_numbers, category_numbers)
        _as_large_as_images(content["annotations"], content, "the COCO annotations")
        _as_large_as_images(found, content, _named(results, "the COCO results"))
        evaluation = COCOeval_faster(truth, truth.loadRes(found), "segm", print_function=_silent)
        evaluation.params.imgIds = images
        evaluation.params.catIds = sorted(categories.values())
        evaluation.params.maxDets = [max_found]
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU threshold, recall, class, area range); -1 where there is no true object
    precision = np.asarray(evaluation.eval["precision"])[..., 0]
    order = evaluation.params.catIds
    return {
        "classes": {
            name: _figures(precision[:, :, [list(order).index(identity)]])
            for name, identity in categories.items()
        },
        "mean": _figures(precision),
        "images": len(images),
        "max_found": max_found,
        "images_cut": _images_cut(found, set(images), set(categories.values()), max_found),
    }


@contextmanager
def _of_coco_form(what: str) -> Iterator[None]:
    """Whatever the library makes of a field of a wrong type, as one sentence."""
    try:
        yield
    except UserError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:80]}"
        raise UserError(f"{what} are not as COCO has them ({reason}); correct them") from error


def _silent(*_: object) -> None:
    """Stands in for the library's printing."""


def _figures(precision: np.ndarray[Any, np.dtype[Any]]) -> dict[str, float | None]:
    """``precision`` (T, R, K, 4) with T the IoU .50, .55, ..., .95; areas all, small, ..."""
    parts = {
        "AP": precision[..., 0],
        "AP50": precision[0, ..., 0],
        "AP75": precision[5, ..., 0],
        "APs": precision[..., 1],
        "APm": precision[..., 2],
        "APl": precision[..., 3],
    }
    known = {name: part[part > -1] for name, part in parts.items()}
    return {name: 100 * float(part.mean()) if part.size else None for name, part in known.items()}


def _images_cut(
    found: Iterable[Mapping[str, Any]], images: Set[int], categories: Set[int], max_found: int
) -> int:
    """Images of which some found objects are not looked at."""
    counts = Counter(
        (row["image_id"], row["category_id"])
        for row in found
        if row["image_id"] in images and row["category_id"] in categories
    )
    return len({image for (image, _), count in counts.items() if count > max_found})


def _truth_content(
    ground_truth: str | Path | Mapping[str, Any],
) -> tuple[dict[str, Any], dict[Any, int], dict[Any, int]]:
    """The annotations anew, with numbers from 1 for all ids; those of images and categories.

    Ids may be words, and an object of id 0 would be 'no match'.
    """
    content = _content(ground_truth, "COCO annotations")
    where = _named(ground_truth, "the COCO annotations")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, Mapping) or key not in content:
            raise UserError(f"{where} has no {key!r}; give a COCO instances file")
    images, categories = (
        {each["id"]: number for number, each in enumerate(content[key], start=1)}
        for key in ("images", "categories")
    )
    objects = []
    for number, each in enumerate(content["annotations"], start=1):
        if not {"image_id", "category_id"} <= each.keys() or not _has_mask(each):
            raise UserError(f"{where}: object {number} is incomplete; give an instances file")
        if each["category_id"] in categories:
            _known([each["image_id"]], images, f"{where}: image_id")
            own = {**each, "id": number, "iscrowd": int(bool(each.get("iscrowd")))}
            objects.append(_under(own, images, categories))
    anew = {
        "images": [{**each, "id": images[each["id"]]} for each in content["images"]],
        "annotations": objects,
        "categories": [{**each, "id": categories[each["id"]]} for each in content["categories"]],
    }
    return anew, images, categories


def _has_mask(each: Mapping[str, Any]) -> bool:
    """Whether an object has run lengths, or polygons of three corners and more."""
    shape = each.get("segmentation")
    if isinstance(shape, Mapping):
        return {"size", "counts"} <= shape.keys()
    # what is not a number or lies far away would take all memory
    return (
        isinstance(shape, Sequence)
        and len(shape) > 0
        and all(isinstance(part, Sequence) and len(part) >= 6 for part in shape)
        and all(isinstance(v, int | float) and abs(v) < FARTHEST for part in shape for v in part)
    )


def _complete_areas(truth: Any) -> None:
    """Give objects without "area" the one of their mask: it decides small, medium and large."""
    from faster_coco_eval.core import mask

    for each in truth.anns.values():
        area = each.get("area")
        if isinstance(area, bool) or not isinstance(area, int | float) or not 0 <= area <= 1e10:
            each["area"] = float(mask.area(truth.annToRLE(each)))


def _results_content(
    results: str | Path | Sequence[Mapping[str, Any]],
    images: Mapping[Any, int],
    categories: Mapping[Any, int],
) -> list[dict[str, Any]]:
    where = _named(results, "the COCO results")
    found = _content(results, "COCO results")
    fields = ("image_id", "category_id", "segmentation", "score")
    if isinstance(found, Mapping) or not all(set(fields) <= row.keys() for row in found):
        raise UserError(f"{where} is not a list of {', '.join(fields)}; write it with predict")
    _known((row["image_id"] for row in found), images, f"{where}: image_id")
    _known((row["category_id"] for row in found), categories, f"{where}: category_id")
    # left out: a box, from which the library would take the area in place of the mask's
    return [_under({key: row[key] for key in fields}, images, categories) for row in found]


def _as_large_as_images(
    rows: Iterable[Mapping[str, Any]], content: Mapping[str, Any], where: str
) -> None:
    """Refuses run lengths of another size than their image: the library has them match nothing."""
    sizes = {each["id"]: [each.get("height"), each.get("width")] for each in content["images"]}
    for number, row in enumerate(rows, start=1):
        shape, size = row["segmentation"], sizes[row["image_id"]]
        if None not in size and isinstance(shape, Mapping) and list(shape["size"]) != size:
            raise UserError(
                f"{where}: the mask of object {number} has size {list(shape['size'])}, its image "
                f"{size} (height, width); give masks of their image's size"
            )


def _under(
    row: Mapping[str, Any], images: Mapping[Any, int], categories: Mapping[Any, int]
) -> dict[str, Any]:
    """A row with our numbers of its image and category."""
    image, category = images[row["image_id"]], categories[row["category_id"]]
    return {**row, "image_id": image, "category_id": category}


def _category_ids(
    categories: Sequence[Mapping[str, Any]], class_names: Sequence[str] | None
) -> dict[str, int]:
    known = {str(each["name"]): int(each["id"]) for each in categories}
    names = list(known) if class_names is None else class_names
    for name in names:
        if name not in known:
            raise UserError(
                f"the COCO annotations have no class {name!r}; name some of {', '.join(known)}"
            )
    if not names:
        raise UserError("there is no class to score; name at least one")
    return {name: known[name] for name in names}


def _known(ids: Iterable[Any], known: Mapping[Any, Any], where: str) -> None:
    unknown = [each for each in ids if each not in known]
    if unknown:
        raise UserError(f"{where} {unknown[0]} is not in the COCO annotations; use their ids")


def _content(source: Any, what: str) -> Any:
    if not isinstance(source, str | Path):
        return source
    try:
        return json.loads(Path(source).read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"there is no file of {what} {source}; check the path") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{source} is not a JSON file of {what}: {error}") from error


def _named(source: Any, otherwise: str) -> str:
    return str(source) if isinstance(source, str | Path) else otherwise
