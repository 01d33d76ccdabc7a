"""Items: the same paths as were given, in little memory."""

import tracemalloc
from pathlib import Path

import pytest

from spatialembed.data import open_data
from spatialembed.data.sample_files import Item, Items, row

FILES = [
    Item("a", Path("root/train/a b.png"), Path("root/masks/a.tif")),
    Item("b", Path("/elsewhere/b.png"), Path("root/b.json"), Path("root/ignore/b.tif")),
    Item("cé", Path("root/../other/c.png"), Path("root/c.png")),
]


@pytest.mark.parametrize("root", [Path("root"), Path()])
def test_items_are_what_they_were_made_of(root):
    items = Items.of(root, FILES)
    assert list(items) == FILES
    assert items[-1] == FILES[-1]
    assert list(items.pick([1, 2])) == FILES[1:]
    assert (len(items), items.names) == (3, ["a", "b", "cé"])
    with pytest.raises(IndexError):
        items[3]


def test_files_count_from_the_root():
    files = list(Items.of(Path("root"), FILES).files())
    assert files[0] == ["train/a b.png", "masks/a.tif"]
    assert files[1] == ["/elsewhere/b.png", "b.json", "ignore/b.tif"]


def test_a_million_items_take_little_memory(tmp_path):
    """One in a thousand of them; each as pathlib's objects would take a thousand bytes."""
    for part in ("images", "masks"):
        (tmp_path / "train" / part).mkdir(parents=True)
        for k in range(1000):
            (tmp_path / "train" / part / f"plate_field_{k:06d}.tif").touch()
    open_data(tmp_path, holdout=0)
    tracemalloc.start()
    data = open_data(tmp_path, holdout=0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data) == 1000
    assert held < 200 * len(data)
    assert row("plate_field_000000", *next(data.items.files())).count("\0") == 2
