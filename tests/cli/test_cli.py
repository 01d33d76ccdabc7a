import json
import os
import signal
import time
import warnings
from types import SimpleNamespace

import pytest

import spatialembed
from spatialembed.cli.commands import COMMANDS
from spatialembed.cli.main import _say_warnings, main
from spatialembed.console import progress
from spatialembed.console.output import console
from spatialembed.errors import ImageWarning

COMPILING = "compiling for this processor, which only the first run waits for\n"


def errors_of(capsys, *arguments: object) -> str:
    """What a failing command says: one line, and nothing like a traceback."""
    assert main([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr().err.replace(COMPILING, "")
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"{command}" in capsys.readouterr().out


def test_version(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert spatialembed.__version__ in capsys.readouterr().out


def test_check(data, capsys) -> None:
    assert main(["check", str(data)]) == 0
    assert "no problem found" in capsys.readouterr().out
    (data / "train" / "masks" / "1.png").unlink()
    assert main(["check", str(data)]) == 1
    assert "1.png" in capsys.readouterr().out


def test_crops_are_a_data_set(data, tmp_path, capsys) -> None:
    assert main(["crops", str(data), str(tmp_path / "crops"), "--size", "16"]) == 0
    assert main(["check", str(tmp_path / "crops")]) == 0
    assert "2 crops" in capsys.readouterr().out  # of three, one is held out for val


def test_evaluate(run, data, capsys) -> None:
    assert main(["evaluate", str(run), str(data), "--pictures", "2"]) == 0
    said = capsys.readouterr().out
    assert "mean over images" in said
    written = json.loads((run / "evaluation_test" / "evaluation.json").read_text())
    assert written["split"] == "test"
    assert len(written["images"]) == 3
    assert (run / "evaluation_test" / "page.html").is_file()
    assert len(list((run / "evaluation_test" / "worst").iterdir())) == 2


def test_evaluate_with_other_settings(run, data, tmp_path, capsys) -> None:
    asked = ["evaluate", run, data, "--out", tmp_path / "out", "--pictures", "1"]
    settings = {"seed_threshold": 0.2, "foreground_threshold": 0.3, "min_size": 1000}
    given = [str(one) for name, value in settings.items() for one in (f"--{name}", value)]
    assert main([*map(str, asked), *given]) == 0
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert {name: written["settings"][name] for name in settings} == settings
    assert sum(image["n_found"] for image in written["images"]) == 0  # all are smaller
    assert "no object was found in any image" in capsys.readouterr().err
    said = errors_of(capsys, *asked, "--seed_threshold", "1.5")
    assert "the seed threshold lies between 0 and 1" in said


def test_errors_are_one_line(run, data, tmp_path, capsys) -> None:
    images = data / "test" / "images"
    said = errors_of(capsys, "predict", tmp_path / "none", images, "--out", tmp_path / "f")
    assert "none" in said
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"123")
    assert "broken.safetensors" in errors_of(capsys, "evaluate", broken, data)
    assert "give that" in errors_of(capsys, "evaluate", run, tmp_path)
    assert "nowhere" in errors_of(capsys, "train", tmp_path / "nowhere", "--steps", 1)
    assert "truck" in errors_of(capsys, "crops", data, tmp_path / "c", "--classes", "car", "truck")
    assert "--botch" in errors_of(capsys, "train", data, "--botch", 3)
    assert "batch" in errors_of(capsys, "train", data, "--batch", "many")
    assert "prodict" in errors_of(capsys, "prodict")


def test_a_run_folder_that_is_a_file_is_one_line(data, tmp_path, capsys) -> None:
    (tmp_path / "taken").write_text("")
    said = errors_of(capsys, "train", data, "--config", "smoke", "--out", tmp_path / "taken")
    assert "taken" in said


@pytest.mark.parametrize(
    ("command", "option", "message"),
    [
        ("predict", ["--seed_treshold", ".5"], "no option --seed_treshold; did you mean --seed_th"),
        ("predict", ["--min-sice=5"], "no option --min_sice; did you mean --min_size?"),
        ("train", ["--minuts", "5"], "no option --minuts; did you mean --minutes?"),
        ("train", ["--xyzzy"], "no option --xyzzy; --help names those there are"),
        ("predict", ["--no-overlai"], "no option --no_overlai; did you mean --no_overlay?"),
        ("predict", ["--images", "x.tif"], "no option --images; --help names those there are"),
    ],
)
def test_a_misspelt_option(run, data, capsys, command, option, message) -> None:
    model = [str(run)] if command == "predict" else []
    assert message in errors_of(capsys, command, *model, data, *option)


def test_warnings_about_images_are_lines_and_not_without_end(capsys) -> None:
    with warnings.catch_warnings():
        _say_warnings()
        for number in range(15):
            warnings.showwarning(ImageWarning(f"{number} pixels", "a.tif"), ImageWarning, "x", 1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "warning: a.tif: 0 pixels"
    assert lines[9:] == ["warning: a.tif: 9 pixels", "warning: and more images as this one"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_is_one_line(monkeypatch, capsys, number, code) -> None:
    def interrupted(**_: object) -> int:
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        except KeyboardInterrupt as error:
            raise SystemError("as compiled code has it") from error
        return 0

    # What a shell starts in the background ignores Ctrl+C.
    ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(COMMANDS, "check", interrupted)
    monkeypatch.setattr("spatialembed.cli.main.build_parser", lambda *_: Parsed())
    assert main(["check", "data"]) == code
    signal.signal(signal.SIGINT, ctrl_c)
    assert capsys.readouterr().err == "spatialembed: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


class Parsed:
    """Stands where the parser would, of a command without options."""

    def parse_args(self, _: object) -> None: ...

    def instantiate(self, _: object) -> "Parsed":
        return self

    command = "check"

    def __getitem__(self, _: str) -> SimpleNamespace:
        return SimpleNamespace()


@pytest.mark.parametrize("words", [["--out", ""], ["--out="], [""]])
def test_what_is_empty_is_refused(capsys, words) -> None:
    """An unset variable of a shell would else be the current folder."""
    before = words[0].removesuffix("=") or "a.tif"
    told = errors_of(capsys, "predict", "nuclei", "a.tif", *words)
    assert f"nothing is given after {before};" in told


def test_a_demo_that_cannot_be_is_refused_before_anything_is_made(tmp_path, capsys) -> None:
    for minutes in ("-1", "nan", "inf"):
        assert "minutes" in errors_of(capsys, "demo", "--out", tmp_path / "d", "--minutes", minutes)
    assert not (tmp_path / "d").exists()


def test_progress_is_told_where_there_is_no_terminal(monkeypatch, capsys) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert list(progress.track(range(4), 4, "Scoring val")) == [0, 1, 2, 3]
    assert capsys.readouterr().err.splitlines() == [
        "Scoring val: 2 of 4 images, 0.1 images/s, 0:00:20 left",
        "Scoring val: 4 of 4 images, 0.1 images/s, 0:00:00 left",
    ]


def test_brackets_in_names_are_printed_as_they_are(capsys) -> None:
    console.print("Trained: runs/[bold]/x")
    assert capsys.readouterr().out == "Trained: runs/[bold]/x\n"
