"""Reading a json of COCO instances: every field that is used is looked at, once, as it is read.

Ids may be words, numbers or numbers as words; two are the same where they are written the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from spatialembed.data.images.kinds import MOST_PIXELS
from spatialembed.errors import UserError
from spatialembed.files.described import read_json

NEEDED = {
    "images": ("id", "file_name", "height", "width"),
    "annotations": ("image_id", "category_id"),
    "categories": ("id", "name"),
}
"""What every entry of the three lists must have."""

FLAGS = {0: False, 1: True, None: False, "0": False, "1": True, "": False}
"""What iscrowd and ignore may be: numbers, words of them, true and false."""


class Image(NamedTuple):
    """An image that a json lists."""

    id: Any
    """As it is written; :func:`key` of it is what annotations name."""
    file_name: str
    height: int
    width: int


class Annotation(NamedTuple):
    """An annotation with what is used of it; its outline, box and area are not looked at yet."""

    number: int
    """In the file, from 1 on."""
    id: str | None
    image: str
    category: str
    crowd: bool
    """Marked iscrowd."""
    ignore: bool
    """Marked ignore."""
    outline: Any
    box: Any
    area: Any

    @property
    def name(self) -> str:
        """How a message calls it."""
        own = self.id[:60] if self.id else f"number {self.number}"
        return f"annotation {own} of image {self.image[:60]}"


class Content(NamedTuple):
    """A json of COCO instances; ids are keys, as :func:`key` gives them."""

    images: tuple[Image, ...]
    annotations: tuple[Annotation, ...]
    categories: dict[str, str]
    """The key of every class name, in the order of ids that are numbers, else of the file."""
    category_ids: dict[str, Any]
    """The id of every class name as it is written."""


def load(file: Path) -> Content:
    """Read a json of COCO instances; the last two are kept, as splits may share them.

    Raises:
        UserError: it is none, or a field has a value that it cannot have.
    """
    return _load(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load(file: Path, _modified: int) -> Content:
    content = read_json(file, "it may be truncated: export it again", largest=None)
    rows = {name: list(_rows(file, content, name)) for name in NEEDED}
    ids = _categories(file, rows["categories"])
    return Content(
        tuple(_image(file, row) for row in rows["images"]),
        tuple(_annotation(file, n, row) for n, row in enumerate(rows["annotations"], start=1)),
        {name: str(key(each)) for name, each in ids.items()},
        ids,
    )


def key(value: Any) -> str | None:
    """An id in the one way of writing it, which can be printed; None for what is no id."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    wrong = isinstance(value, bool) or not isinstance(value, int | str) or value == ""
    return None if wrong else str(value).encode(errors="backslashreplace").decode()


def _rows(file: Path, content: Any, name: str) -> Iterator[Mapping[str, Any]]:
    rows = content.get(name) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise UserError(
            f"{file} has no list of {name}: it is no COCO instances file; export it again"
        )
    for row in rows:
        missing = [each for each in NEEDED[name] if not isinstance(row, dict) or each not in row]
        if missing:
            raise UserError(f"{file} has an entry of {name} without {missing[0]}; add it")
        yield row


def _categories(file: Path, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        name = _text(file, "categories", "name", row["name"])
        _require_id(file, "categories", row)
        if name in found:
            raise UserError(f"{file} has two categories named {name!r}; rename one")
        found[name] = row["id"]
    if not found:
        raise UserError(f"{file} has no categories: it is no COCO instances file; export it again")
    counts = Counter(key(each) for each in found.values())
    for name, each in found.items():
        if counts[key(each)] > 1:
            raise UserError(f"{file} has two categories of id {each}, one {name!r}; renumber one")
    if any(isinstance(each, str) and not each.isdecimal() for each in found.values()):
        return found
    return dict(sorted(found.items(), key=lambda item: int(item[1])))


def _image(file: Path, row: Mapping[str, Any]) -> Image:
    _require_id(file, "images", row)
    name = _text(file, "images", "file_name", row["file_name"])
    height, width = (_size(file, name, key, row[key]) for key in ("height", "width"))
    if height * width > MOST_PIXELS:
        raise UserError(
            f"{file} says that {name[:200]} is {width}x{height}, too large to be taken whole; "
            "correct it, or cut the image into smaller ones"
        )
    return Image(row["id"], name, height, width)


def _annotation(file: Path, number: int, row: Mapping[str, Any]) -> Annotation:
    own = key(row.get("id"))
    called = f"annotation {own[:60]}" if own is not None else f"annotation number {number}"
    image, category = (key(row[name]) for name in ("image_id", "category_id"))
    if image is None or category is None:
        name = "image_id" if image is None else "category_id"
        raise UserError(f"{file}: {called} has {name} {ascii(row[name])[:60]}; give the id")
    crowd, ignore = (_flag(file, called, name, row.get(name)) for name in ("iscrowd", "ignore"))
    shape = (row.get("segmentation"), row.get("bbox"), row.get("area"))
    return Annotation(number, own, image, category, crowd, ignore, *shape)


def _flag(file: Path, called: str, name: str, value: Any) -> bool:
    if isinstance(value, list | dict) or value not in FLAGS:
        raise UserError(f"{file}: {called} has {name} {ascii(value)[:60]}; it must be 0 or 1")
    return FLAGS[value]


def _require_id(file: Path, name: str, row: Mapping[str, Any]) -> None:
    if key(row["id"]) is None:
        raise _unfit(file, name, "id", row["id"], "a whole number or a word")


def _size(file: Path, image: str, field: str, value: Any) -> int:
    whole = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not whole or value != int(value) or value < 1:
        raise _unfit(file, f"images ({image[:200]})", field, value, "a whole number above 0")
    return int(value)


def _text(file: Path, name: str, field: str, value: Any) -> str:
    """A name, also where it is written as a number."""
    text = key(value)
    if text is None or "\0" in text or not Path(text).name:
        raise _unfit(file, name, field, value, "a name")
    return text


def _unfit(file: Path, entry: str, field: str, value: Any, wanted: str) -> UserError:
    what = f"{file} has an entry of {entry} whose {field} is {ascii(value)[:60]}"
    return UserError(f"{what}; it must be {wanted}")
