"""Files as microscopes write them: Leica's LIF and Nikon's ND2, small and with little in them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_LIF_DIMENSIONS = {"X": 1, "Y": 2, "Z": 3, "T": 4}
_ND2_MAGIC = 0x0ABECEDA


def write_lif(
    path: Path, images: Mapping[str, tuple[np.ndarray, str]], step: Mapping[str, float]
) -> None:
    """Write a LIF.

    Args:
        path: the file.
        images: by name, arrays and a letter for each of their axes: T, Z, C, Y, X, S.
        step: micrometres along axes; 1 along others.
    """
    elements, blocks = [], b""
    for number, (name, (array, axes)) in enumerate(images.items()):
        elements.append(_lif_element(name, f"MemBlock_{number}", array, axes, step))
        blocks += _lif_block(f"MemBlock_{number}", array.tobytes())
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project"><Data><Experiment/></Data>'
        f'<Memory Size="0" MemoryBlockID="MemBlock_none"/><Children>{"".join(elements)}'
        "</Children></Element></LMSDataContainerHeader>"
    )
    text = xml.encode("utf-16-le")
    path.write_bytes(struct.pack("<iiBi", 0x70, len(text) + 5, 0x2A, len(xml)) + text + blocks)


def _lif_element(
    name: str, block: str, array: np.ndarray, axes: str, step: Mapping[str, float]
) -> str:
    size = dict(zip(axes, array.shape, strict=True))
    stride = dict(zip(axes, array.strides, strict=True))
    samples, apart = size.get("C", size.get("S", 1)), stride.get("C", stride.get("S", 0))
    channels = "".join(
        f'<ChannelDescription DataType="{int(array.dtype.kind == "f")}" '
        f'ChannelTag="{i + 1 if "S" in axes else 0}" Resolution="{array.itemsize * 8}" '
        'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="Gray" IsLUTInverted="0" '
        f'BytesInc="{i * apart}" BitInc="0"/>'
        for i in range(samples)
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{_LIF_DIMENSIONS[axis]}" NumberOfElements="{size[axis]}" '
        f'Origin="0" Length="{(size[axis] - 1) * step.get(axis, 1) * 1e-6}" Unit="m" BitInc="0" '
        f'BytesInc="{stride[axis]}"/>'
        for axis in reversed(axes)
        if axis in _LIF_DIMENSIONS
    )
    return (
        f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{array.nbytes}" MemoryBlockID="{block}"/></Element>'
    )


def _lif_block(name: str, data: bytes) -> bytes:
    text = name.encode("utf-16-le")
    sizes = struct.pack("<iiBQBi", 0x70, len(text) + 14, 0x2A, len(data), 0x2A, len(name))
    return sizes + text + data


def write_nd2(
    path: Path,
    frames: np.ndarray,
    positions: int = 1,
    planes: int = 1,
    step: tuple[float, float] = (2, 0.25),
    missing: int = 0,
) -> None:
    """Write an ND2.

    Args:
        path: the file.
        frames: (positions * planes, H, W, C); three channels of 8 bits are colors.
        positions: how many there are.
        planes: in z at each of them.
        step: micrometres along z, and along y and x.
        missing: frames that are left out at the end.
    """
    count, height, width, channels = frames.shape
    colors = channels == 3 and frames.dtype == np.uint8
    bits = frames.itemsize * 8
    attributes = {
        **{"uiWidth": width, "uiHeight": height, "uiComp": channels, "uiSequenceCount": count},
        **{"uiBpcInMemory": bits, "uiBpcSignificant": bits, "eCompression": 2},
        "uiWidthBytes": width * channels * frames.itemsize,
    }
    probe = {"m_ExcitationSpectrum": {"uiCount": 0}, "m_EmissionSpectrum": {"uiCount": 0}}
    kinds = _listed(
        {"uiCompCount": 3 if colors else 1, "uiSampleIndex": i, "pFluorescentProbe": probe}
        for i in range(1 if colors else channels)
    )
    picture = {
        **{"bCalibrated": True, "dCalibration": step[1], "dAspect": 1.0},
        "sPicturePlanes": {"uiCount": len(kinds), "sPlaneNew": kinds},
    }
    chunks = [("ImageAttributes!", attributes), ("ImageMetadataSeq|0!", picture)]
    if loops := _nd2_loops(positions, planes, step[0]):
        chunks.append(("ImageMetadata!", loops))
    file = struct.pack("<IIQ", _ND2_MAGIC, 32, 64) + b"ND2 FILE SIGNATURE CHUNK NAME01!"
    file += b"Ver2.0".ljust(64, b"\0")
    listing = b""
    whole = [(name, _nd2_xml(said), 32) for name, said in chunks]
    for i, frame in enumerate(frames[: count - missing]):
        whole.append((f"ImageDataSeq|{i}!", bytes(8) + frame.tobytes(), 4072))
    for name, data, room in whole:
        listing += name.encode() + struct.pack("<QQ", len(file), len(data))
        file += struct.pack("<IIQ", _ND2_MAGIC, room, len(data))
        file += name.encode().ljust(room, b"\0") + data
    listing += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", len(file))
    file += struct.pack("<IIQ", _ND2_MAGIC, 32, len(listing))
    path.write_bytes(file + b"ND2 FILEMAP SIGNATURE NAME 0001!" + listing)


def _nd2_loops(positions: int, planes: int, step: float) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    if planes > 1:
        ends = {"dZLow": 0.0, "dZHigh": (planes - 1) * step, "dZHome": 0.0, "iType": 0}
        bounds = {"uiCount": planes, "dZStep": step, "bAbsolute": False} | ends
        inner = {"eType": 4, "uLoopPars": bounds}
    if positions == 1:
        return inner
    points = _listed({"dPosX": float(i), "dPosY": 0.0, "dPosZ": 0.0} for i in range(positions))
    places = {"uiCount": positions, "bUseZ": False, "Points": points}
    below = {"ppNextLevelEx": _listed([inner])} if inner else {}
    return {"eType": 2, "uLoopPars": places} | below


def _listed(items: Any) -> dict[str, Any]:
    return {f"i{i:010}": item for i, item in enumerate(items)}


def _nd2_xml(said: Mapping[str, Any]) -> bytes:
    return f'<variant version="1.0">{_nd2_element("no_name", said)}</variant>'.encode()


def _nd2_element(tag: str, value: Any) -> str:
    if isinstance(value, Mapping):
        inside = "".join(_nd2_element(key, item) for key, item in value.items())
        return f'<{tag} runtype="CLxListVariant">{inside}</{tag}>'
    kind = {bool: "bool", int: "lx_uint32", float: "double"}[type(value)]
    return f'<{tag} runtype="{kind}" value="{str(value).lower()}"/>'


def write_czi(
    path: Path,
    planes: Sequence[tuple[np.ndarray, Mapping[str, Any]]],
    step: tuple[float, float, float] = (2, 0.5, 0.25),
) -> None:
    """Write a CZI by pylibCZIrw.

    Args:
        path: the file.
        planes: arrays (H, W) or (H, W, 3), blue first, and where they are: plane, scene, location.
        step: micrometres along z, y and x.
    """
    from pylibCZIrw.czi import create_czi

    with create_czi(str(path)) as file:
        for array, at in planes:
            file.write(data=array if array.ndim == 3 else array[..., None], **at)
        z, y, x = (one * 1e-6 for one in step)
        file.write_metadata(scale_x=x, scale_y=y, scale_z=z)
