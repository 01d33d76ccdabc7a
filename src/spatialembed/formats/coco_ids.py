"""Which image and category of a COCO json a result belongs to, told before there are results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from spatialembed.data.annotations.coco_json import key
from spatialembed.errors import UserError
from spatialembed.files.described import read_json
from spatialembed.files.names import composed, file_in_json


class CocoIds(NamedTuple):
    """Ids of a COCO json, as they are written there.

    Attributes:
        where: the json, for messages.
        images: ids by path without suffix, and by the last part alone where only one image has it.
        sizes: (height, width) of the images that it has these of, by id as text.
        categories: ids by class name.
    """

    where: str
    images: Mapping[str, Any]
    sizes: Mapping[str, tuple[Any, Any]]
    categories: Mapping[str, Any]

    def image(self, name: str) -> Any:
        """The id of an image by the path of its results; None where there is none."""
        name = composed(name)
        return self.images.get(name, self.images.get(name.rpartition("/")[2]))

    def require(self, names: Iterable[str], class_names: Iterable[str]) -> None:
        """Refuse images and classes that are not there, or of which two would be one.

        Raises:
            UserError: names the first.
        """
        found: dict[str, str] = {}
        for name in names:
            number = self.image(name)
            told = f"no image '{name}', or several" if number is None else ""
            if not told and (other := found.setdefault(str(number), name)) != name:
                told = f"one image for '{other}' and '{name}'"
            if told:
                raise UserError(f"{self.where} has {told}; give the annotations of these images")
        for name in class_names:
            if name not in self.categories:
                have = ", ".join(self.categories) or "none"
                raise UserError(
                    f"{self.where} has no category '{name}', which the model finds; it has {have}"
                )

    def require_size(self, name: str, shape: tuple[int, ...]) -> None:
        """Refuse an image of another (height, width) than is written there.

        Raises:
            UserError: says both.
        """
        said = self.sizes.get(str(self.image(name)), shape)
        if tuple(said) != tuple(shape):
            raise UserError(
                f"{self.where} says that '{name}' is {said[1]}x{said[0]}, it is "
                f"{shape[1]}x{shape[0]}; correct it there"
            )


def annotated_ids(file: Path) -> CocoIds:
    """The ids of a json, which needs no annotations itself.

    Raises:
        UserError: it cannot be read, or has no images and categories with ids and names.
    """
    try:
        return _annotated_ids(file, file.stat().st_mtime_ns)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); check the path") from error


@lru_cache(maxsize=1)
def _annotated_ids(file: Path, _modified: int) -> CocoIds:
    content = read_json(file, "it may be truncated", largest=None)
    images = _rows(file, content, "images", "file_name")
    kinds = _rows(file, content, "categories", "name")
    sizes = {
        str(row["id"]): (row["height"], row["width"])
        for row in images
        if None not in (row.get("height"), row.get("width"))
    }
    names = [Path(file_in_json(row["file_name"])).with_suffix("").as_posix() for row in images]
    ids = _by_name(names, [row["id"] for row in images])
    return CocoIds(str(file), ids, sizes, {row["name"]: row["id"] for row in kinds})


def numbered(held: Mapping[str, Any]) -> tuple[CocoIds, dict[str, Any]]:
    """Ids of our own for results that come without annotations, and the json that says them.

    Args:
        held: "height", "width", "suffix" and "categories" of the results of every image.
    """
    kinds: dict[str, int] = {}
    for result in held.values():
        kinds.update(result["categories"])
    last = [Path(name).name for name in held]
    numbers = [int(name) for name in last if name.isdecimal()]
    own = len(set(numbers)) == len(last)  # 000000000139.jpg is image 139
    ids = numbers if own else list(range(1, len(last) + 1))
    images = [
        {
            **{"id": i, "file_name": name + part["suffix"]},
            **{"height": part["height"], "width": part["width"]},
        }
        for i, (name, part) in zip(ids, held.items(), strict=True)
    ]
    categories = [{"id": index, "name": kind} for kind, index in kinds.items()]
    found = CocoIds("the results", _by_name([composed(name) for name in held], ids), {}, kinds)
    return found, {"images": images, "categories": categories}


def _rows(file: Path, content: Any, part: str, name: str) -> list[dict[str, Any]]:
    rows = content.get(part) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise UserError(
            f"{file} is not a COCO annotation file: it has no list of {part}; give that of these "
            "images"
        )
    for row in rows:
        named = isinstance(row, dict) and isinstance(row.get(name), str) and Path(row[name]).name
        if not named or key(row.get("id")) is None:
            raise UserError(
                f"{file} is not a COCO annotation file: {part} need id and {name}; correct it"
            )
    return rows


def _by_name(names: Sequence[str], ids: Sequence[Any]) -> dict[str, Any]:
    """Ids by name, and by its last part; none for what several have."""
    last = [name.rpartition("/")[2] for name in names]
    found: dict[str, Any] = {}
    for words in (last, names):
        count = Counter(words)
        found |= {name: each for name, each in zip(words, ids, strict=True) if count[name] == 1}
    return found
