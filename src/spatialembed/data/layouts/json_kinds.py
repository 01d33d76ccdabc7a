"""Which tool wrote a json, by words that only its files have; nothing is parsed."""

from __future__ import annotations

import mmap
from functools import lru_cache
from pathlib import Path

COCO = "COCO"

_LIST, _OBJECT = b"[", b"{"

_KINDS: tuple[tuple[bytes, tuple[bytes, ...], str], ...] = (
    (_OBJECT, (b'"segments_info"', b'"images"', b'"annotations"'), "COCO panoptic"),
    (_OBJECT, (b'"images"', b'"annotations"', b'"categories"'), COCO),
    (_OBJECT, (b'"dm_format_version"',), "Datumaro"),
    (_OBJECT, (b'"items"', b'"categories"'), "Datumaro"),
    (_OBJECT, (b'"shapes"', b'"imagePath"'), "LabelMe"),
    (_OBJECT, (b'"_via_img_metadata"',), "VGG Image Annotator"),
    (_OBJECT, (b'"regions"', b'"shape_attributes"'), "VGG Image Annotator"),
    (_OBJECT, (b'"objects"', b'"geometryType"'), "Supervisely"),
    (_OBJECT, (b'"classes"', b'"projectType"'), "Supervisely"),
    (_OBJECT, (b'"FeatureCollection"', b'"geometry"'), "QuPath"),
    (_LIST, (b'"Feature"', b'"geometry"'), "QuPath"),
    (_LIST, (b'"image_id"', b'"category_id"', b'"score"'), "COCO results"),
    (_LIST, (b'"annotations"', b'"result"'), "Label Studio"),
    (_LIST, (b'"lead_time"',), "Label Studio"),
    (_LIST, (b'"annotations"', b'"coordinates"'), "CreateML"),
)
"""First character, words that are all there, and whose file it is; the first that fits."""


def kind_of_json(file: Path) -> str | None:
    """Whose json it is: "COCO" of instances, or another tool's; None where that is not known."""
    try:
        state = file.stat()
        return _kind(file, state.st_size, state.st_mtime_ns)
    except (OSError, ValueError):  # gone, or empty
        return None


@lru_cache(maxsize=256)
def _kind(file: Path, _size: int, _modified: int) -> str | None:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        first = text[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        for start, words, kind in _KINDS:
            if first == start and all(text.find(word) >= 0 for word in words):
                return kind
    return None
