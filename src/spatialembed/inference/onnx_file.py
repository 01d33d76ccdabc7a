"""An exported file before any runtime sees it: what it says of itself, and whether it is whole.

ONNX has no checksum, and a runtime makes room for whatever a file asks for. So the few bytes of
protobuf around the network are read here: the metadata, the kinds of its nodes, and the checksum
that ``spatialembed export`` puts behind everything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from spatialembed.errors import UserError

_GRAPH, _METADATA, _NODE, _OP_TYPE = 7, 14, 1, 4
"""Numbers of ONNX's protobuf: of a model, of its graph, and of a node."""

_GROWING = {b"ConstantOfShape", b"Expand", b"Tile", b"Range", b"Loop", b"Scan", b"If"}
"""Operators of which a few bytes fill any memory; no network of this library has one."""

_SEAL = b'r\x59\n\x13spatialembed_digest\x12B"'
"""How the last entry of the metadata begins; a hexadecimal SHA-256 and a quote follow."""

_LARGEST = 2**31
"""Bytes of a protobuf file."""

_LENGTH = len(_SEAL) + 65


def sealed(content: bytes) -> bytes:
    """An ONNX file with one more entry of metadata: the checksum of all that is before it."""
    return content + _SEAL + hashlib.sha256(content).hexdigest().encode() + b'"'


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file.

    Raises:
        UserError: it is damaged or none, was changed since it was exported, or has operators that
            no exported network has.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise damaged(path)
        content = memoryview(path.read_bytes())
        metadata = dict(_entry(value) for number, value in _fields(content) if number == _METADATA)
        operators = _operators(content)
    except (OSError, ValueError, IndexError) as error:
        raise damaged(path) from error
    if "spatialembed_digest" in metadata and not _is_whole(content):
        raise UserError(f"{path} is not as it was exported: it is damaged; export the model again")
    if _GROWING & operators:
        raise UserError(f"{path} is no network of spatialembed's; export the model again")
    return metadata


def damaged(path: Path) -> UserError:
    """What is said of a file that cannot be read."""
    return UserError(f"{path} is not an ONNX file, or is damaged; export the model again")


def _is_whole(content: memoryview) -> bool:
    before = content[:-_LENGTH]
    expected = _SEAL + hashlib.sha256(before).hexdigest().encode() + b'"'
    return bytes(content[-_LENGTH:]) == expected


def _operators(content: memoryview) -> set[bytes]:
    graphs = (graph for number, graph in _fields(content) if number == _GRAPH)
    nodes = (node for graph in graphs for number, node in _fields(graph) if number == _NODE)
    return {bytes(kind) for node in nodes for number, kind in _fields(node) if number == _OP_TYPE}


def _entry(content: memoryview) -> tuple[str, str]:
    parts = {number: bytes(value).decode() for number, value in _fields(content)}
    return parts.get(1, ""), parts.get(2, "")


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of each field of a protobuf message that has a length; others are passed."""
    place = 0
    while place < len(content):
        tag, place = _number(content, place)
        kind = tag & 7
        if kind == 0:
            _, place = _number(content, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        elif kind == 2:
            length, place = _number(content, place)
            if place + length > len(content):
                raise ValueError("it ends too early")
            yield tag >> 3, content[place : place + length]
            place += length
        else:
            raise ValueError("no protobuf")


def _number(content: memoryview, place: int) -> tuple[int, int]:
    """A protobuf number of up to ten bytes, and the place behind it."""
    value = 0
    for count in range(10):
        byte = content[place + count]
        value |= (byte & 127) << 7 * count
        if byte < 128:
            return value, place + count + 1
    raise ValueError("no protobuf")
