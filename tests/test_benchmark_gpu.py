"""The benchmark of a card, with small sizes on the CPU: whether it runs, and what it leaves."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import gpu
from gpu_report import Report
from gpu_timing import Bench, Case, Figure


@pytest.fixture
def nuclei(tmp_path: Path) -> Path:
    """A folder of six little images to train on, of which one is held out."""
    folder = tmp_path / "data" / "train"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(6):
        mask = np.zeros((48, 48), np.uint16)
        mask[5:20, 4:19], mask[25:40, 20:36] = 1, 2
        noise = np.random.default_rng(number).integers(0, 30, mask.shape)
        tifffile.imwrite(
            folder / "images" / f"{number}.tif", ((mask > 0) * 99 + noise).astype("u1")
        )
        tifffile.imwrite(folder / "masks" / f"{number}.tif", mask)
    return tmp_path / "data"


def test_every_section_gives_its_figures(tmp_path, nuclei, monkeypatch):
    out = tmp_path / "out"
    words = ["--out", out, "--device", "cpu", "--small", "--limit", 3000, "--dsb2018", nuclei]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *map(str, words)])
    code = gpu.main()
    found = json.loads((out / "gpu.json").read_text(encoding="utf-8"))
    page = (out / "gpu.md").read_text(encoding="utf-8")
    sections = found["sections"]
    failed = [row for section in sections.values() for row in section["rows"] if "error" in row]
    assert not failed
    assert code == 0
    assert all("seconds" in section for section in sections.values())
    value = {(s, row["what"]): row["value"] for s in sections for row in sections[s]["rows"]}
    assert value["equality of what is found", "label maps of cluster and refine"] == 0
    assert 0 <= value["equality of the loss", "loss, learned centers"] <= 1e-5
    assert value["loss", "64² × 2, 3 objects each: naive loops"] > 0
    assert value["training steps", "stage 2, 32² × 2: residual_unet, bf16, channels last, our loss"]
    trained = "as trained by nuclei, stage 1, 32² × 2: residual_unet of nuclei, bf16"
    assert value["training steps", trained] > 0
    assert value["folders", "residual_unet, bf16: files"] > 0
    assert 0 <= value["DSB2018", "validation mean AP, symmetries"] <= 1
    assert {"whole images", "nuclei", "limits of the machine"} <= sections.keys()
    assert found["card"] in page
    assert found["torch"] in page
    assert all(row["what"] in page for section in sections.values() for row in section["rows"])


def bench(tmp_path: Path) -> Bench:
    return Bench(torch.device("cpu"), True, tmp_path, tmp_path, time.monotonic() + 60)


def failing(_: Bench) -> Iterator[Case]:
    yield "good", lambda: Figure(1.0)
    yield "bad", lambda: Figure(1 / 0)
    yield "good again", lambda: Figure(2.0)
    raise RuntimeError("out of memory\nmore of it")


def test_what_fails_is_a_row_and_the_rest_goes_on(tmp_path):
    report = Report(tmp_path, "cpu", "command")
    gpu.within(60.0, "loss", failing, bench(tmp_path), report)
    rows = report.content["sections"]["loss"]["rows"]
    assert [row["what"] for row in rows] == ["good", "bad", "good again", "its preparation"]
    assert rows[1]["error"].startswith("ZeroDivisionError")
    assert rows[3]["error"] == "RuntimeError: out of memory"
    assert "more of it" in (tmp_path / "errors.txt").read_text(encoding="utf-8")
    assert report.done("loss")
    assert report.failed


def test_no_time_is_a_row_too(tmp_path):
    report = Report(tmp_path, "cpu", "command")
    gpu.within(1.0, "loss", failing, bench(tmp_path), report)
    (row,) = report.content["sections"]["loss"]["rows"]
    assert "no time" in row["error"]


@pytest.mark.parametrize("section_begun", [True, False])
def test_a_section_that_ends_its_process_is_left_out_of_the_next(
    tmp_path, monkeypatch, section_begun
):
    asked = []

    def process(command: list[str]) -> SimpleNamespace:
        """The first section takes the process with it, the others go well."""
        words = list(map(str, command))
        names = words[words.index("--here") :][2:-2]
        asked.append(names)
        report = Report(tmp_path, "cpu", "command")
        if len(asked) == 1 and section_begun:
            report.begin(names[0])
        for name in names if len(asked) > 1 else ():
            report.begin(name)
            report.finish(name, 1.0)
        return SimpleNamespace(returncode=-11 if len(asked) == 1 else 0)

    monkeypatch.setattr(subprocess, "run", process)
    monkeypatch.setattr(
        sys, "argv", ["gpu.py", "--out", str(tmp_path), "--only", "nuclei", "folders"]
    )
    assert gpu.main() == 1
    assert asked == [["nuclei", "folders"], ["folders"]]
    assert "-11" in Report(tmp_path, "cpu", "").content["sections"]["nuclei"]["rows"][0]["error"]


def test_report_goes_on_with_what_a_lost_process_left(tmp_path):
    first = Report(tmp_path, "cpu", "command")
    first.begin("loss")
    first.add("loss", "ours", Figure(0.5, beside="twice"), 2**30)
    again = Report(tmp_path, "cpu", "command")
    assert again.begun("loss")
    assert not again.done("loss")
    assert not again.failed
    again.fail("loss", "naive", "killed | out of memory")
    again.finish("loss", 1.0)
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "| ours | 500 ms | twice | 1.00 GiB |" in page
    assert "| naive | failed | killed / out of memory |  |" in page
    assert Report(tmp_path, "cpu", "command").failed
