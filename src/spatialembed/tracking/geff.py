"""Tracks as a graph in GEFF, the Graph Exchange File Format: objects as nodes, links as edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spatialembed.errors import missing_extra
from spatialembed.tracking.tracks import Tracks


def write_geff(path: Path, tracks: Tracks, spacing: tuple[float, ...] | None = None) -> None:
    """Write a zarr folder; nodes have t, y and x (of volumes z), label, area, and track as id.

    Positions are in pixels, times in frames; an edge leads to where the object is seen next, or to
    what it became.

    Args:
        path: of the folder, which is not there yet.
        tracks: of which each is a tracklet.
        spacing: micrometres between pixels along each axis, which the axes then state.

    Raises:
        UserError: geff is missing.
    """
    try:
        import geff
        from networkx import DiGraph
    except ImportError as error:
        raise missing_extra("GEFF", "track") from error
    found, axes = tracks.objects, axes_of(tracks)
    columns = {
        "t": found.frame,
        **{axis: found.center[:, k] for k, axis in enumerate(axes)},
        "label": found.label,
        "area": found.area,
        "track": tracks.id,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    graph = DiGraph()
    graph.add_nodes_from((i, dict(zip(columns, row, strict=True))) for i, row in enumerate(rows))
    graph.add_edges_from(tracks.edges().tolist())
    apart: list[dict[str, Any]] = [{}] * len(axes)
    if spacing is not None:
        apart = [{"scale": step, "scaled_unit": "micrometer"} for step in spacing]
    metadata = geff.GeffMetadata(
        directed=True,
        axes=[
            {"name": "t", "type": "time", "unit": "frame"},
            *(
                {"name": axis, "type": "space", "unit": "pixel", **scale}
                for axis, scale in zip(axes, apart, strict=True)
            ),
        ],
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "track"},
    )
    geff.write(graph, path, metadata=metadata)


def axes_of(tracks: Tracks) -> str:
    """ "yx", or of volumes "zyx"."""
    return "zyx"[-tracks.objects.center.shape[1] :]
