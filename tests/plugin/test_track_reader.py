"""What the plug-in makes of a folder of tracks; test_manifest.py opens one in napari."""

import numpy as np
import pytest
import tifffile

from spatialembed.plugin.track_reader import read_tracks, reader_of


@pytest.fixture
def folder(tmp_path):
    """Three frames: track 1 divides into 2 and 3, written as `track` does."""
    maps = np.zeros((3, 8, 9), np.uint16)
    maps[:2, 1:7, 1:7], maps[2, 1:4, 1:7], maps[2, 4:7, 1:7] = 1, 2, 3
    out = tmp_path / "tracks"
    out.mkdir()
    for t, label_map in enumerate(maps):
        tifffile.imwrite(out / f"t{t}.tif", label_map)
    rows = ["1,0,5,3.5,3.5,36,0", "1,1,6,3.5,3.5,36,0", "2,2,1,2.0,3.5,18,1", "3,2,2,5.0,3.5,18,1"]
    lines = ["id,frame,label,y,x,area,parent", *rows]
    (out / "tracks.csv").write_text("\n".join(lines) + "\n")
    return out


def test_a_folder_of_tracks_becomes_labels_and_tracks(folder) -> None:
    assert reader_of(str(folder)) is read_tracks
    (labels, _, kind), (rows, options, other) = read_tracks(str(folder))
    assert (kind, other) == ("labels", "tracks")
    assert labels.shape == (3, 8, 9)
    assert labels[2, 5, 3] == 3
    assert rows.tolist() == [[1, 0, 3.5, 3.5], [1, 1, 3.5, 3.5], [2, 2, 2, 3.5], [3, 2, 5, 3.5]]
    assert options["graph"] == {2: [1], 3: [1]}


def test_without_an_object_there_are_labels_alone(folder) -> None:
    (folder / "tracks.csv").write_text("id,frame,label,y,x,area,parent\n")
    assert [kind for *_, kind in read_tracks(str(folder))] == ["labels"]


def test_other_folders_are_left_to_others(tmp_path, folder) -> None:
    assert reader_of(str(tmp_path)) is None
    assert reader_of([str(folder)]) is None
