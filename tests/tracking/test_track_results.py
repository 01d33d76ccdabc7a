import csv

import numpy as np
import pytest
import tifffile

import spatialembed as se
from spatialembed.cli.main import main
from spatialembed.demo.sequences import draw_sequence
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.tracking import ctc
from spatialembed.tracking.ctc import without_gaps
from spatialembed.tracking.frames import open_frames
from spatialembed.tracking.objects import Objects
from spatialembed.tracking.results import write_tracks
from spatialembed.tracking.tracks import tracks_of

geff = pytest.importorskip("geff", reason="needs the extra track")
pytest.importorskip("laptrack", reason="needs the extra track")


@pytest.fixture
def frames(tmp_path):
    """Eight frames as predict has them, an object missing in one of them."""
    maps = draw_sequence(seed=1, frames=8, side=96, cells=8, cycle=8).label_maps
    maps[4][maps[4] == maps[4].max()] = 0
    (tmp_path / "found").mkdir()
    for t, label_map in enumerate(maps):
        tifffile.imwrite(tmp_path / "found" / f"t{t + 7}.tif", label_map)  # 7 to 14
    return tmp_path / "found"


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_that_is_written_says_the_same(frames, tmp_path, capsys) -> None:
    out = tmp_path / "tracks"
    assert main(["track", str(frames), "--out", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    rows = table(out / "tracks.csv")
    ids = {int(row["id"]) for row in rows}
    assert said.startswith(f"{len(ids)} tracks of {len(rows)} objects in 8 frames")
    assert " 1 gaps" in said
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(
        ["ctc", "tracks.csv", "tracks.geff", *(f"t{t}.tif" for t in range(7, 15))]
    )
    for t in range(8):
        before, after = (tifffile.imread(folder / f"t{t + 7}.tif") for folder in (frames, out))
        assert after.dtype == np.uint16
        here = [row for row in rows if int(row["frame"]) == t]
        assert len(here) == len(np.unique(before[before > 0])) == len(np.unique(after[after > 0]))
        for row in here:
            assert np.array_equal(before == int(row["label"]), after == int(row["id"]))
            y, x = np.nonzero(after == int(row["id"]))
            told = [float(row[name]) for name in ("y", "x", "area")]
            assert told == pytest.approx([y.mean(), x.mean(), len(y)], abs=0.01)
    parents = {int(row["id"]): int(row["parent"]) for row in rows if row["parent"] != "0"}
    assert parents
    assert_challenge_form(out / "ctc", rows, parents)
    graph, metadata = geff.read(out / "tracks.geff")
    assert graph.number_of_nodes() == len(rows)
    assert [axis.name for axis in metadata.axes] == ["t", "y", "x"]
    roots = sum(1 for _, count in graph.in_degree() if count == 0)
    assert graph.number_of_edges() == len(rows) - roots
    assert roots == len(ids - set(parents))
    for one, other in graph.edges():
        a, b = graph.nodes[one], graph.nodes[other]
        assert a["t"] < b["t"]
        assert a["track"] == b["track"] or parents[b["track"]] == a["track"]


def assert_challenge_form(folder, rows, parents) -> None:
    """A line a track, in each frame of which, and in no other, it is seen."""
    lines = np.loadtxt(folder / "res_track.txt", dtype=int).tolist()
    seen: dict[int, list[int]] = {}
    for t in range(8):
        label_map = tifffile.imread(folder / f"mask{t:03d}.tif")
        assert label_map.dtype == np.uint16
        for label in np.unique(label_map[label_map > 0]).tolist():
            seen.setdefault(label, []).append(t)
    assert {line[0] for line in lines} == set(seen)
    ends = {label: end for label, _, end, _ in lines}
    for label, begin, end, parent in lines:
        assert seen[label] == list(range(begin, end + 1))
        assert parent == 0 or ends[parent] < begin
    count = len({int(row["id"]) for row in rows})
    assert len(lines) == count + 1  # for the one gap
    assert sum(parent > 0 for *_, parent in lines) == len(parents) + 1


def test_gaps_part_tracks_and_daughters_follow_the_last_part() -> None:
    frame = np.array([0, 1, 1, 3, 4, 4, 6])
    zeros = np.zeros(7)
    objects = Objects(frame, zeros, zeros, np.zeros((7, 2)), np.zeros((7, 2)), zeros)
    edges = [(0, 1), (1, 3), (3, 4), (3, 5), (5, 6)]  # row 2 is alone
    tracks = tracks_of(objects, edges, [np.zeros((1, 1), int)] * 7, 1.0)
    assert tracks.id.tolist() == [1, 1, 2, 1, 3, 4, 4]
    assert tracks.parents == {3: 1, 4: 1}
    assert tracks.gaps() == 2
    ids, rows = without_gaps(tracks)
    assert ids.tolist() == [1, 1, 2, 5, 3, 4, 6]
    assert rows.tolist() == [
        [1, 0, 1, 0],
        [2, 1, 1, 0],
        [3, 4, 4, 5],
        [4, 4, 4, 5],
        [5, 3, 3, 1],
        [6, 6, 6, 4],
    ]


def test_more_tracks_than_the_challenge_holds_are_written_without_it(tmp_path) -> None:
    maps = np.zeros((2, 300, 300), np.int32)
    maps[:, ::2, ::2] = np.arange(1, 150 * 150 + 1).reshape(150, 150)
    maps[:, 1::2, ::2] = np.arange(22501, 45001).reshape(150, 150)
    maps[:, ::2, 1::2] = np.arange(45001, 67501).reshape(150, 150)
    label = maps[maps > 0].astype(np.int64)
    frame = np.repeat([0, 1], 67500)
    order = np.lexsort((label, frame))
    blank = np.zeros(len(label))
    places = np.zeros((len(label), 2))
    objects = Objects(frame[order], label[order], blank + 1, places, places, blank)
    tracks = tracks_of(objects, [(i, i + 67500) for i in range(67500)], maps, 1.0)
    (told,) = write_tracks(tmp_path, tracks, ["t0", "t1"])
    assert "ctc is left out" in told
    assert not (tmp_path / "ctc").exists()
    written = tifffile.imread(tmp_path / "t1.tif")
    assert written.dtype == np.uint32
    assert np.array_equal(written, maps[1])
    assert len(table(tmp_path / "tracks.csv")) == 135000


def test_no_object_at_all_is_written_as_such(tmp_path) -> None:
    tracks = se.track([np.zeros((8, 9), int)] * 2)
    assert write_tracks(tmp_path, tracks, ["a1", "a2"]) == []
    assert table(tmp_path / "tracks.csv") == []
    assert (tmp_path / "ctc" / "res_track.txt").read_text() == ""
    assert not tifffile.imread(tmp_path / "ctc" / "mask001.tif").any()
    assert geff.read(tmp_path / "tracks.geff")[0].number_of_nodes() == 0


@pytest.mark.parametrize("spacing", [(0.5, 0.25), (2.0, 0.5, 0.25)])
def test_the_size_of_pixels_is_handed_on(tmp_path, spacing) -> None:
    labels = np.zeros((20, 24), np.uint8)
    labels[4:9, 4:9] = 1
    for t in range(2):
        frame = np.stack([labels] * 3) if spacing[2:] else labels
        save_label_tiff(tmp_path / "found" / f"t{t}.tif", frame, spacing)
    out = tmp_path / "tracks"
    assert main(["track", str(tmp_path / "found"), f"--out={out}"]) == 0
    assert open_frames(out).spacing == pytest.approx(spacing)
    axes = geff.read(out / "tracks.geff")[1].axes[1:]
    assert [axis.scale for axis in axes] == pytest.approx(list(spacing))
    assert {axis.scaled_unit for axis in axes} == {"micrometer"}


def refused(capsys, *arguments: object) -> str:
    assert main(["track", *map(str, arguments)]) == 1
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    return captured.err


def test_a_command_that_fails_says_why_and_leaves_nothing(frames, tmp_path, capsys) -> None:
    out = tmp_path / "tracks"
    assert "within" in refused(capsys, frames, "--out", frames / "tracks")
    assert "max_gap" in refused(capsys, frames, "--out", out, "--max_gap", -1)
    assert "max_distance" in refused(capsys, frames, "--out", out, "--max_distance", 0)
    (frames / "t9.tif").unlink()
    assert "leave a gap" in refused(capsys, frames, "--out", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found"]
    out.mkdir()
    assert "exists already" in refused(capsys, frames, "--out", out)


def test_a_folder_is_made_whole_or_not_at_all(frames, tmp_path, capsys, monkeypatch) -> None:
    def full(*given, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ctc, "save_label_tiff", full)
    assert "No space left" in refused(capsys, frames, "--out", tmp_path / "tracks")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found"]


def test_without_divisions_there_are_none(frames, tmp_path) -> None:
    out = tmp_path / "tracks"
    assert main(["track", str(frames), f"--out={out}", "--divisions=no", "--max_gap=0"]) == 0
    assert {row["parent"] for row in table(out / "tracks.csv")} == {"0"}
