"""Tracks in the form of the Cell Tracking Challenge: masks, and a text with a line a track."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spatialembed.files.writing import atomic_write
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.tracking.tracks import Tracks

MOST = 65535
"""Tracks that its masks hold: they are of 16 bits."""


def write_ctc(folder: Path, tracks: Tracks, spacing: tuple[float, ...] | None = None) -> bool:
    """Write ``mask000.tif``, … and ``res_track.txt`` with a line "id begin end parent" a track.

    There a track is seen in all frames from its begin to its end: one with gaps is several, each
    with the one before as its parent. Masks state the spacing in micrometres, where it is known.

    Returns:
        False, and nothing is written, where there are more of them than masks of 16 bits hold.

    Raises:
        UserError: a file cannot be written.
    """
    ids, rows = without_gaps(tracks)
    if len(rows) > MOST:
        return False
    digits = max(3, len(str(len(tracks.frames) - 1)))
    for frame in range(len(tracks.frames)):
        path = folder / f"mask{frame:0{digits}d}.tif"
        save_label_tiff(path, tracks.label_map(frame, ids), spacing, MOST)
    with atomic_write(folder / "res_track.txt") as temporary:
        np.savetxt(temporary, rows, fmt="%d")
    return True


def without_gaps(tracks: Tracks) -> tuple[np.ndarray, np.ndarray]:
    """Tracks that are seen in all frames from their first to their last.

    Returns:
        (N,) int64 the id of each object, that of its track before its first gap; and (K, 4) int64
        of each: id, first frame, last frame, id of its parent or 0, in order of id.
    """
    frame = tracks.objects.frame
    order = np.lexsort((frame, tracks.id))
    track, seen = tracks.id[order], frame[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (track[1:] != track[:-1]) | (seen[1:] != seen[:-1] + 1)
    goes_on = begins.copy()
    goes_on[1:] &= track[1:] == track[:-1]
    goes_on[:1] = False
    new = np.where(begins & ~goes_on, track, 0)
    new[goes_on] = len(tracks) + 1 + np.arange(np.count_nonzero(goes_on))
    part = new[begins][np.cumsum(begins) - 1]
    ids = np.empty_like(part)
    ids[order] = part
    ends = np.append(begins[1:], True)[: len(order)]
    last = dict(zip(track[begins].tolist(), new[begins].tolist(), strict=True))  # of each track
    mother = [last[tracks.parents[t]] if t in tracks.parents else 0 for t in track[begins].tolist()]
    before = np.append(0, new[begins][:-1])[: len(mother)]
    parent = np.where(goes_on[begins], before, np.array(mother, np.int64))
    rows = np.stack([new[begins], seen[begins], seen[ends], parent], axis=1)
    return ids, rows[np.argsort(rows[:, 0])]
