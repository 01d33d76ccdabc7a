"""A run that holds out groups: what its model remembers, and how it is resumed."""

from pathlib import Path

import pytest
from PIL import Image
from test_resume import middle_of, short

import spatialembed as se
from spatialembed.errors import UserError
from spatialembed.export.int8 import open_splits
from spatialembed.inference.evaluate import open_split
from spatialembed.models.spec import ModelSpec
from spatialembed.training import train
from spatialembed.training.resume import load_checkpoint


@pytest.fixture
def data(tmp_path) -> Path:
    """Six images of three dishes."""
    for i in range(6):
        for kind, value in (("images", 200), ("masks", 1)):
            path = tmp_path / "data" / "train" / kind / f"dish{i // 2}_{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.new("L", (64, 48))
            image.paste(value, (10, 8 + i, 30, 24))
            image.save(path)
    return tmp_path / "data"


def test_a_model_remembers_what_was_held_out(data, tmp_path, monkeypatch) -> None:
    table = tmp_path / "dishes.csv"
    table.write_text("image,dish\n" + "".join(f"dish{i // 2}_{i},{i // 2}\n" for i in range(6)))
    config = short(data, tmp_path / "run", groups=str(table))
    middle = middle_of(monkeypatch, tmp_path / "run", lambda state: state["step"] == 1)
    spec = se.load(train(config)).spec
    held = spec.training["held_out"]
    assert len({name[:5] for name in held}) == 1
    assert len(held) == 2
    assert open_split(data, "val", spec).names == held
    assert open_split(data, None, spec).names == held
    exported = open_splits(data, ModelSpec.from_dict(spec.to_dict()))
    assert [len(set(held) & set(part.names)) for part in exported] == [0, 2]
    assert sum(map(len, exported)) == 6
    assert se.evaluate(tmp_path / "run", data, "val")["split"] == "val"

    table.unlink()  # a resumed run goes by the names in its checkpoint
    train(short(data, middle, groups=str(table), resume=True))
    assert se.load(middle).spec.training["held_out"] == held
    assert load_checkpoint(middle)["step"] == 2


def test_a_resumed_run_misses_what_was_held_out(data, tmp_path, monkeypatch) -> None:
    out = tmp_path / "run"
    middle = middle_of(monkeypatch, out, lambda state: state["step"] == 1)
    held = se.load(train(short(data, out, groups="^(dish.)"))).spec.training["held_out"]
    for kind in ("images", "masks"):
        (data / "train" / kind / f"{held[0]}.png").unlink()
    with pytest.raises(UserError, match=f"lacks 1 of the 2 images.*as {held[0]}; restore them"):
        train(short(data, middle, resume=True))


def test_a_model_is_refused_whose_held_out_images_are_no_names() -> None:
    with pytest.raises(UserError, match="held_out must be a list of names"):
        ModelSpec("residual_unet", training={"held_out": [1, 2]})
