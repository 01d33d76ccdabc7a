"""Every example of the README and of the pages of docs/ is run, on generated images.

Only what cannot run here is left out: installing, `make`, and a page that stays open, whose line is
read by the command's parser alone. Half an hour of training becomes two steps of a small network.
A command of the heavy ones that an earlier page has too, but for its --out, is read alone as well.
"""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from spatialembed import __version__
from spatialembed.cli.commands import COMMANDS
from spatialembed.cli.main import main
from spatialembed.cli.options import build_parser
from spatialembed.cli.options import prepared as as_words
from spatialembed.demo.cells import make_cells
from spatialembed.demo.volumes import write_volumes
from spatialembed.errors import UserError

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").glob("*.md"))]
TINY = "--network_options.widths=[4,4] --network_options.blocks=[1,1]"
SMALL = "--network_options.widths=[8,16,16] --network_options.blocks=[1,1,1]"
SHORTER = {
    "--minutes 30": f"--steps 2 --batch 2 {SMALL}",
    "--minutes 20": f"--steps 1 --batch 1 {TINY}",
    "--minutes 5": "--steps 2 --batch 2",
}
STAYS = (
    "spatialembed serve",
    "spatialembed demo",
    "spatialembed train FLUORESCENCE",
    "spatialembed train DATA --out runs/x --config nuclei --minutes 30 --groups '^",
)
ELSEWHERE = ("pip ", "make ", "cellpose ", "yolo ")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(spatialembed [a-z]+ [^`]+)`")
HEAVY = re.compile(r"spatialembed (train|predict .*(big\.zarr|--workers))")


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image (96, 96) uint8 of bright discs, and its label mask."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((96, 96))
    mask = np.zeros((96, 96), np.uint16)
    for k in range(6):
        cy, cx = 16 + 32 * (k // 3) + rng.integers(-4, 5), 16 + 32 * (k % 3) + rng.integers(-4, 5)
        mask[(y - cy) ** 2 + (x - cx) ** 2 < rng.integers(60, 130)] = k + 1
    image = np.where(mask > 0, 160, 20) + rng.integers(0, 30, mask.shape)
    return image.astype(np.uint8), mask


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """What the examples name: DATA, VOLUMES, CELLS, IMAGES, image.png, runs/x and v, and more."""
    folder = tmp_path_factory.mktemp("examples")
    for split, count in (("train", 6), ("test", 2)):
        for k in range(count):
            image, mask = blobs(10 * count + k)
            for kind, array in (("images", image), ("masks", mask)):
                path = folder / "DATA" / split / kind / f"{k}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, array)
    write_volumes(folder / "VOLUMES", train=2, val=0, test=1, shape=(16, 40, 40))
    make_cells(folder / "CELLS", {"train": 3, "val": 1, "test": 1}, side=64)
    rows = ["image,picture", *(f"{k},{k // 2}" for k in range(6))]
    (folder / "pictures.csv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "IMAGES").mkdir()
    for k in range(2):
        Image.fromarray(blobs(k)[0]).save(folder / "IMAGES" / f"{k}.png")
    (folder / "STACKS").mkdir()
    tifffile.imwrite(folder / "STACKS" / "a.tif", np.stack([blobs(k)[0] for k in range(5)]))
    Image.fromarray(blobs(9)[0]).save(folder / "image.png")
    big = np.concatenate([blobs(k)[0] for k in range(4)], axis=1)
    zarr.create_array(folder / "big.zarr", data=big, chunks=(96, 96))
    run, data = folder / "runs" / "x", folder / "DATA"
    given = ["--config=nuclei", f"--out={run}", "--steps=2", *SMALL.split()]
    assert main(["train", str(data), *given]) == 0
    assert main(["export", str(run), str(folder / "x.onnx")]) == 0
    voxels = tifffile.imread(folder / "VOLUMES" / "test" / "images" / "volume_000.tif")
    zarr.create_array(folder / "volume.zarr", data=voxels, dimension_names=("z", "y", "x"))
    given = ["--config=volumes", f"--out={folder / 'runs' / 'v'}", "--steps=1", "--batch=1"]
    assert main(["train", str(folder / "VOLUMES"), *given, *TINY.split()]) == 0
    return folder


def lines(block: str) -> list[str]:
    stripped = (line.partition(" #")[0].strip() for line in block.splitlines())
    return [line for line in stripped if line and not line.startswith(ELSEWHERE)]


def blocks(page: Path) -> list[tuple[str, str]]:
    """What is run of a page, in its order: its language, empty for commands, and its lines."""
    return [
        (language, block)
        for language, block in FENCE.findall(page.read_text(encoding="utf-8"))
        if language == "python"
        or (language == "" and "spatialembed " in block and "/" * 3 not in block)
    ]


def without_out(line: str) -> str:
    return re.sub(r" --out \S+", "", line)


FIRST = {
    without_out(line): page
    for page in reversed(PAGES)
    for language, block in blocks(page)
    if not language
    for line in lines(block)
}
"""The first page that has a command."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page, prepared, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    names: dict = {}
    for language, block in blocks(page):
        if language:
            names["__name__"] = "__main__"
            exec(compile(block, f"{page.name}: {block.splitlines()[0]}", "exec"), names)
            continue
        for line in lines(block):
            if HEAVY.match(line) and FIRST[without_out(line)] != page:
                parse(line)
            else:
                run_line(line)


def run_line(line: str) -> None:
    if line.startswith(STAYS):
        parse(line)
        return
    if not line.startswith("spatialembed "):
        return
    for long, short in SHORTER.items():
        line = line.replace(long, short)
    arguments = shlex.split(line)[1:]
    if arguments[0] == "train":
        out = Path(arguments[arguments.index("--out") + 1])
        shutil.rmtree(out, ignore_errors=True)
    assert main(arguments) == 0, line


def parse(line: str) -> None:
    try:
        words = as_words(shlex.split(line)[1:])
        build_parser(COMMANDS, __version__, words).parse_args(words)
    except UserError as error:
        raise AssertionError(f"{line}: {error}") from error


def test_lines_within_the_text_are_understood():
    found = [line for page in PAGES for line in INLINE.findall(page.read_text(encoding="utf-8"))]
    assert len(found) > 5
    for line in found:
        parse(line)


def test_pages_show_pictures_and_pages_that_are_there():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} points at {target}"
