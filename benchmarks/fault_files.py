"""What faults.py damages: small files of every kind, whole, and the ways of damaging one.

Nothing is stored: a file is made, damaged in memory by a draw from the seed, and gone after its
trial.
"""

import copy
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
import yaml
import zarr
from PIL import Image

from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.export.onnx import export_model
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec
from spatialembed.training import train

SIZE = 48, 64
SMALL = {"widths": [8, 16], "blocks": [1, 1]}


def squares(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A grey image of bright squares, 8 bits, and its label mask."""
    mask = np.zeros(SIZE, np.uint16)
    for k, (y, x) in enumerate([(4, 4), (4, 30), (26, 10), (28, 44)], start=1):
        mask[y : y + 12, x : x + rng.integers(8, 16)] = k
    return np.where(mask, 200, 30).astype(np.uint8) + rng.integers(0, 20, SIZE, np.uint8), mask


def make_files(folder: Path) -> dict[str, Path]:
    """Whole files below ``folder``, by their kinds."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for i in range(4):
            image, mask = squares(rng)
            for kind, pixels in (("images", image), ("masks", mask)):
                path = folder / "data" / split / kind / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    image, mask = squares(rng)
    plain = folder / "plain"
    plain.mkdir()
    Image.fromarray(image).save(plain / "a.jpg", quality=95)
    for name, coding in (("raw", None), ("zlib", "zlib"), ("lzw", "lzw")):
        tifffile.imwrite(plain / f"{name}.tif", image, compression=coding)
    tifffile.imwrite(plain / "tiled.tif", image, tile=(16, 16), bigtiff=True, compression="zlib")
    for kind, pixels in (("images", image), ("masks", mask)):
        path = folder / "zarr" / "train" / kind / "a.zarr"
        zarr.create_array(path, data=pixels, chunks=(32, 32))
    _make_coco(folder / "coco", rng)
    _make_models(folder)
    code = main(["predict", str(folder / "run"), str(folder / "data/val/images"),
                        "--out", str(folder / "found"), "--format", "coco"])  # fmt: skip
    assert code == 0
    (folder / "mine.yaml").write_text(yaml.safe_dump(_recipe(), sort_keys=False))
    return {
        "PNG image": folder / "data/val/images/1.png",
        "PNG mask": folder / "data/train/masks/1.png",
        "JPEG": plain / "a.jpg",
        "TIFF, raw": plain / "raw.tif",
        "TIFF, zlib": plain / "zlib.tif",
        "TIFF, LZW": plain / "lzw.tif",
        "TIFF, tiled BigTIFF": plain / "tiled.tif",
        "zarr metadata": folder / "zarr/train/images/a.zarr/zarr.json",
        "COCO json": folder / "coco/annotations/instances_val.json",
        "model.safetensors": folder / "run/model.safetensors",
        "checkpoint.pt": folder / "trained/checkpoint.pt",
        ".onnx": folder / "m.onnx",
        ".pth": folder / "authors.pth",
        "recipe": folder / "mine.yaml",
        "settings.json": folder / "found/settings.json",
    }


def _recipe() -> dict[str, Any]:
    stages = [{"crop_size": 32, "batch_size": 2, "steps": 2, "validations": 1}] * 2
    return {"network": "residual_unet", "network_options": SMALL, "workers": 0, "stages": stages}


def _make_models(folder: Path) -> None:
    torch.manual_seed(0)
    spec = ModelSpec("residual_unet", SMALL, in_channels=1, seed_threshold=0.3, min_size=4)
    save_model(folder / "run" / "model.safetensors", spec.build(), spec)
    of_squares = replace(spec, class_names=("square",))
    save_model(folder / "squares" / "model.safetensors", of_squares.build(), of_squares)
    export_model(folder / "run", folder / "m.onnx")
    theirs = ModelSpec("branched_erfnet", in_channels=1)
    torch.save(
        {"epoch": 3, "model_state_dict": theirs.build().state_dict()}, folder / "authors.pth"
    )
    options = [f"--out={folder / 'trained'}", "--device=cpu"]
    train(read_recipe("smoke", folder / "data", *options))


def _make_coco(folder: Path, rng: np.random.Generator) -> None:
    for split in ("train", "val"):
        images, annotations = [], []
        for i in range(1, 3):
            pixels, mask = squares(rng)
            path = folder / split / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            images.append({"id": i, "file_name": f"{i}.png", "height": SIZE[0], "width": SIZE[1]})
            for k in range(1, 5):
                y, x = (int(v) for v in np.argwhere(mask == k)[0])
                outline = [x, y, x + 9, y, x + 9, y + 11, x, y + 11]
                annotations.append({
                    "id": len(annotations) + 1, "image_id": i, "category_id": 1, "iscrowd": 0,
                    "area": 99, "bbox": [x, y, 9, 11], "segmentation": [outline],
                })  # fmt: skip
        content = {"images": images, "annotations": annotations,
                   "categories": [{"id": 1, "name": "square"}]}  # fmt: skip
        file = folder / "annotations" / f"instances_{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))


def damaged(kind: str, content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """How a file was damaged, and what then is in it."""
    ways: list[Callable[[bytes, np.random.Generator], bytes]] = list(BYTES)
    if kind in ("COCO json", "settings.json", "recipe", "zarr metadata"):
        ways += [_values_yaml if kind == "recipe" else _values_json] * 12
    if kind == "model.safetensors":
        ways += [_values_description] * 6
    if kind in ("checkpoint.pt", ".pth"):
        ways += [_values_torch] * 6
    way = ways[rng.integers(len(ways))]
    return way.__name__.strip("_"), way(content, rng)


def _truncated(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(len(content) * rng.choice([0, 0.01, rng.random(), 0.99]))]


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(0, len(content), rng.choice([1, 3, 30])):
        changed[place] ^= 1 << rng.integers(8)
    return bytes(changed)


def _header(content: bytes, rng: np.random.Generator) -> bytes:
    start = content[:256]
    return _flipped(start, rng) + content[256:]


def _zeroed(content: bytes, rng: np.random.Generator) -> bytes:
    first, last = sorted(rng.integers(0, len(content), 2))
    return content[:first] + bytes(int(last - first)) + content[last:]


def _shuffled(content: bytes, rng: np.random.Generator) -> bytes:
    a, b, c = sorted(rng.integers(0, len(content), 3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _grown(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(0, len(content)))
    return content[:place] + rng.bytes(int(rng.integers(1, 300))) + content[place:]


BYTES = [_truncated, _flipped, _header, _zeroed, _shuffled, _grown]


def _values_json(content: bytes, rng: np.random.Generator) -> bytes:
    return json.dumps(changed_value(json.loads(content), rng)).encode()


def _values_yaml(content: bytes, rng: np.random.Generator) -> bytes:
    return yaml.safe_dump(changed_value(yaml.safe_load(content), rng), sort_keys=False).encode()


def _values_description(content: bytes, rng: np.random.Generator) -> bytes:
    """Another description, with a checksum or without: both must be refused or be as good."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    metadata = header["__metadata__"]
    if rng.random() < 0.8:
        metadata.pop("spatialembed_digest")
    told = changed_value(json.loads(metadata["spatialembed"]), rng)
    metadata["spatialembed"] = json.dumps(told)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[start:]


def _values_torch(content: bytes, rng: np.random.Generator) -> bytes:
    held = torch.load(io.BytesIO(content), weights_only=True)
    file = io.BytesIO()
    torch.save(changed_value(held, rng), file)
    return file.getvalue()


WRONG: list[Any] = [
    None, "x", "", -1, 0, 10**9, 10**40, 1e308, float("nan"), True, [], {}, [[]], [None], {"a": {}},
    [1, 2, 3], "9" * 1000,
]  # fmt: skip


def changed_value(content: Any, rng: np.random.Generator) -> Any:
    """A copy with one value, wherever it lies, replaced, removed, renamed or swapped."""
    content = copy.deepcopy(content)
    places = list(_places(content))
    if not places:
        return WRONG[rng.integers(len(WRONG))]
    holder, key = places[rng.integers(len(places))]
    way = rng.integers(6)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    elif way == 2:
        other, there = places[rng.integers(len(places))]
        holder[key] = copy.deepcopy(other[there])
    else:
        holder[key] = WRONG[rng.integers(len(WRONG))]
    return content


def _places(content: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [content]
    while waiting:
        held = waiting.pop()
        keys = list(held) if isinstance(held, dict) else range(len(held))
        found += [(held, key) for key in keys]
        waiting += [held[key] for key in keys if isinstance(held[key], dict | list)]
    return found
