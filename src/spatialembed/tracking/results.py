"""A folder of tracks: label TIFFs with their ids, a table, and the same for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spatialembed.files.writing import write_csv
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.tracking.ctc import MOST, write_ctc
from spatialembed.tracking.geff import axes_of, write_geff
from spatialembed.tracking.tracks import Tracks

TABLE = "tracks.csv"


def write_tracks(
    out: Path, tracks: Tracks, names: Sequence[str], spacing: tuple[float, ...] | None = None
) -> list[str]:
    """Write ``x.tif`` a frame, whose labels are ids of tracks, and the tracks in three forms.

    These are ``tracks.csv``, in ``ctc`` those of the Cell Tracking Challenge, and ``tracks.geff``.

    Args:
        out: the folder.
        tracks: what is written.
        names: of the frames, for their files.
        spacing: micrometres between pixels along y and x, or the voxels of volumes along z, y
            and x, where known.

    Returns:
        What was left out, a sentence each.

    Raises:
        UserError: a file cannot be written, or geff is missing.
    """
    for frame, name in enumerate(names):
        highest = max(MOST, len(tracks))
        save_label_tiff(out / f"{name}.tif", tracks.label_map(frame), spacing, highest)
    _write_table(out / TABLE, tracks)
    write_geff(out / "tracks.geff", tracks, spacing)
    if write_ctc(out / "ctc", tracks, spacing):
        return []
    return [f"ctc is left out: its masks hold {MOST} tracks, and there are {len(tracks)}"]


def _write_table(path: Path, tracks: Tracks) -> None:
    """A row an object: id of its track, frame, label, centroid, area in pixels, id of the parent
    of its track or 0."""
    found = tracks.objects
    parents = [tracks.parents.get(track, 0) for track in tracks.id.tolist()]
    columns = {
        "id": tracks.id.tolist(),
        "frame": found.frame.tolist(),
        "label": found.label.tolist(),
        **{a: found.center[:, k].round(2).tolist() for k, a in enumerate(axes_of(tracks))},
        "area": found.area.tolist(),
        "parent": parents,
    }
    write_csv(path, [columns, *zip(*columns.values(), strict=True)])
