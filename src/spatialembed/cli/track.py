"""The command ``track``, as those of commands.py."""

from __future__ import annotations

from pathlib import Path

from spatialembed.console.output import console, warn


def run_track(
    frames: Path,
    out: Path = Path("tracks"),
    max_distance: float | None = None,
    max_gap: int = 1,
    divisions: bool = True,
) -> int:
    """Give the objects of a sequence of frames ids that stay: label TIFFs, tables, CTC, GEFF.

    Args:
        frames: folder of numbered label TIFFs, one a frame, as predict writes them, or a TIFF
            whose axes are time, y and x.
        out: folder to make; it must not be there yet.
        max_distance: diameters of itself that an object gets from frame to frame at most; by
            default measured.
        max_gap: frames in which an object may be missing, and is still the same.
        divisions: whether an object may become two.
    """
    from spatialembed.files.writing import new_folder
    from spatialembed.tracking import track
    from spatialembed.tracking.frames import open_frames
    from spatialembed.tracking.results import write_tracks

    with new_folder(out, frames) as made:
        sequence = open_frames(frames)
        tracks = track(sequence, max_distance, max_gap, divisions, sequence.spacing)
        left_out = write_tracks(made, tracks, sequence.names, sequence.spacing)
    warn(left_out)
    divided = len(set(tracks.parents.values()))
    console.print(
        f"{len(tracks)} tracks of {len(tracks.objects)} objects in {len(sequence)} frames, "
        f"{divided} divisions, {tracks.gaps()} gaps; looked for within {tracks.reach:.2f} "
        f"diameters: {out}",
        soft_wrap=True,
    )
    return 0
