import re
import subprocess
import sys
from pathlib import Path

import pytest

from spatialembed.cli.main import main
from spatialembed.errors import UserError
from spatialembed.models import shipped
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec

SPEC = ModelSpec(
    "residual_unet", {"widths": [8, 8], "blocks": [1, 1]}, trained_on="9 dots", licence="MIT"
)


@pytest.fixture
def blobs(tmp_path, monkeypatch):
    path = tmp_path / "blobs.safetensors"
    save_model(path, SPEC.build(), SPEC)
    monkeypatch.setattr(shipped, "packaged", lambda *_: [path])
    return path


def test_a_line_a_model(blobs, capsys) -> None:
    assert main(["models"]) == 0
    size = f"{blobs.stat().st_size / 1e6:.1f} MB"
    told = f"images in color of 3 channels; trained on 9 dots; {size}; MIT\n"
    assert capsys.readouterr().out == f"blobs: object; {told}"
    blobs.with_suffix(".md").write_text("# blobs: any blob\n\n# further\n")
    main(["models"])
    assert capsys.readouterr().out == f"blobs: any blob; {told}"


def test_a_damaged_one_is_named(blobs, capsys) -> None:
    blobs.write_bytes(b"123")
    assert main(["models"]) == 1
    assert "blobs.safetensors is not a model file, or is damaged" in capsys.readouterr().err


def test_every_model_of_the_package_says_what_it_is_for() -> None:
    models = shipped.shipped()
    assert "nuclei" in [model.name for model in models]
    for model in models:
        assert model.finds != ", ".join(model.spec.class_names)  # it has a card
        assert model.spec.trained_on
        assert model.spec.licence
        assert model.line.startswith(f"{model.name}: {model.finds}; ")


def test_listing_loads_no_torch() -> None:
    code = (
        "import sys; from spatialembed.cli.main import main; main(['models']); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_name_that_is_none_leads_to_the_list(blobs) -> None:
    from spatialembed.inference.loading import load

    with pytest.raises(UserError, match=r"shipped model: blobs \(`spatialembed models`"):
        load("dots")


def test_the_first_page_lists_them_as_they_are() -> None:
    page = Path(__file__).parents[2] / "docs" / "pages" / "index.md"
    rows = {
        row.split("`")[1]: row
        for row in page.read_text(encoding="utf-8").splitlines()
        if row.startswith("| `")
    }
    models = shipped.shipped()
    assert set(rows) == {model.name for model in models}
    for model in models:
        row = rows[model.name]
        assert f"| {model.megabytes:.1f} MB, {model.spec.licence.partition(';')[0]} |" in row
        assert ("color and grey" if model.spec.takes_grey else "grey, 1 channel") in row
        card = (shipped.shipped_models()[model.name]).with_suffix(".md").read_text("utf-8")
        figures = re.findall(r"\.\d{3}", row)
        assert all(figure in card for figure in figures), f"{model.name}: not on its card"
