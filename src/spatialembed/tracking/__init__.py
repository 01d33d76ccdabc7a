"""Objects over time: the label maps of frames become tracks, by laptrack.

Objects of two frames may be one where they lie near each other, in units of their size; what their
overlap and distance cost is here (costs.py), the best assignment is laptrack's (link.py).
"""

from spatialembed.tracking.link import track
from spatialembed.tracking.tracks import Tracks

__all__ = ["Tracks", "track"]
