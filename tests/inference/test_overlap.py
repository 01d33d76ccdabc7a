"""Reading ahead and writing behind change no result, and not its order."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_cuda_network import DEVICES, Full
from test_predictor import Bright, bright, squares

from spatialembed.formats.results_folder import Results
from spatialembed.inference import overlap
from spatialembed.inference.cuda_network import CudaNetwork
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.overlap import overlapped
from spatialembed.inference.predictor import Model


class Log:
    """The three steps on numbers, which take note of what they do and where."""

    def __init__(self, size: int = 0) -> None:
        self.events, self.held, self.lock = [], size, threading.Lock()

    def note(self, *event) -> None:
        with self.lock:
            self.events.append((*event, threading.current_thread() is threading.main_thread()))

    def read(self, item: int) -> int:
        self.note("read", item)
        time.sleep(0.002 * (item % 3))  # so that they do not end in their order
        if item == 5:
            raise OSError("gone")
        return item * 10

    def work(self, item: int, read) -> int:
        self.note("work", item)
        try:
            return read() + 1
        except OSError:
            return -1

    def write(self, item: int, made: int) -> tuple[int, int]:
        time.sleep(0.002 * (item % 2))
        self.note("write", item)
        return item, made

    def size(self, made: int) -> int:
        return self.held

    def steps(self):
        return self.read, self.work, self.write

    def of(self, kind: str) -> list[int]:
        return [event[1] for event in self.events if event[0] == kind]


EXPECTED = [(item, -1 if item == 5 else item * 10 + 1) for item in range(12)]


def test_results_come_in_order() -> None:
    log = Log()
    assert list(overlapped(range(12), *log.steps(), log.size)) == EXPECTED
    assert log.of("work") == list(range(12))
    assert sorted(log.of("read")) == sorted(log.of("write")) == list(range(12))
    assert {event[-1] for event in log.events if event[0] == "work"} == {True}
    assert {event[-1] for event in log.events if event[0] != "work"} == {False}
    assert list(overlapped([], *log.steps(), log.size)) == []


@pytest.mark.parametrize(("size", "most"), [(0, 3), (overlap.ROOM, 1), (overlap.ROOM // 2, 2)])
def test_few_items_are_held_and_of_large_ones_fewer(monkeypatch, size, most) -> None:
    monkeypatch.setattr(overlap, "cores", lambda: 3)
    log, begun, done = Log(size), [], []
    steps = (log.read, log.work, log.write)
    for item, _ in overlapped(iter_noted(range(30), begun), *steps, log.size):
        done.append(item)
        assert len(begun) - len(done) <= 2 * most + 1  # before its turn, in it, behind it
    assert max(log.of("read")[:2]) <= 1  # at first nothing is known of their size


def iter_noted(items, noted):
    for item in items:
        noted.append(item)
        yield item


def test_who_stops_early_leaves_nothing_half_done() -> None:
    log = Log()
    stream = overlapped(range(1000), *log.steps(), log.size)
    assert next(stream) == EXPECTED[0]
    stream.close()
    worked, written = log.of("work"), log.of("write")
    assert len(worked) <= 2 * overlap.AHEAD + 1
    time.sleep(0.02)
    assert log.of("write") == written  # no thread goes on


def test_an_error_that_no_step_expects_ends_it() -> None:
    def failing(item: int, made: int) -> None:
        raise ZeroDivisionError

    log = Log()
    with pytest.raises(ZeroDivisionError):
        list(overlapped(range(9), log.read, log.work, failing, log.size))


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(9):
        Image.fromarray(np.roll(squares()[..., 0], k, 1)[: 37 - k // 3]).save(folder / f"{k}.png")
    (folder / "3.png").write_bytes((folder / "2.png").read_bytes()[:60])
    Image.fromarray(squares(3) * np.uint8([1, 2, 3])).save(folder / "4.png")
    return folder


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_files_become_what_they_become_one_by_one(images, tmp_path, device, precision) -> None:
    alone, card = bright(), Model(CudaNetwork(Bright().to(device), precision), bright().spec)
    outcomes = {}
    for model, name in ((alone, "alone"), (card, "card")):
        results = Results(tmp_path / name, ["geojson", "coco"])
        files = find_images([images], results.out)
        parts = [files] if name == "card" else [[file] for file in files]
        outcomes[name] = [o for part in parts for o in predict_files(model, part, results)]
    one, other = ([o._replace(look=None) for o in outcomes[name]] for name in ("alone", "card"))
    assert one == other
    assert [o.image.name for o in other if o.error] == ["3", "4"]
    looks = ([o.look for o in outcomes[name] if o.look] for name in ("alone", "card"))
    for look, expected in zip(*looks, strict=True):
        assert look == pytest.approx(expected, abs=0.02)
    left = {p.relative_to(tmp_path / "alone") for p in (tmp_path / "alone").rglob("*.*")}
    assert left == {p.relative_to(tmp_path / "card") for p in (tmp_path / "card").rglob("*.*")}
    for path in (tmp_path / "alone").glob("*.tif"):
        labels = tifffile.imread(tmp_path / "card" / path.name)
        np.testing.assert_array_equal(labels, tifffile.imread(path))


@pytest.mark.parametrize("device", DEVICES)
def test_kept_and_new_results_stay_in_order(images, tmp_path, device) -> None:
    model = Model(CudaNetwork(Bright().to(device)), bright().spec)
    results = Results(tmp_path / "out", pictures=False)
    files = find_images([images], results.out)
    list(predict_files(model, files[:2], results))
    (results.out / "0.tif").write_text("mine")
    stream = predict_files(model, files, results)
    assert next(stream).kept
    stream.close()  # as Ctrl+C does
    again = list(predict_files(model, files, results))
    assert [o.image for o in again] == files
    assert [o.kept for o in again[:2]] == [True, True]
    assert (results.out / "0.tif").read_text() == "mine"
    assert not list(results.out.glob(".*"))
    assert [o.image.name for o in again if o.error] == ["3", "4"]


def test_an_image_too_large_for_the_card_stops_no_other(images, tmp_path) -> None:
    model = Model(CudaNetwork(Full(36 * 61)), bright().spec)  # the first three have a row more
    results = Results(tmp_path / "out", pictures=False)
    outcomes = list(predict_files(model, find_images([images], results.out), results))
    said = {o.image.name: o.error for o in outcomes if o.error and "GPU" in o.error}
    assert said.keys() == {"0", "1", "2"}
    assert said["1"].startswith(f"{images / '1.png'} is too large")
    assert [o.image.name for o in outcomes if not o.error] == ["5", "6", "7", "8"]
