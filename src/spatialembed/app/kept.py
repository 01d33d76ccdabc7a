"""Images of open pages, within bounds: however many pages there are, and however long."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict

from spatialembed.app.study import Study

MOST_BYTES = 1_000_000_000
"""Of images and network outputs together; the newest is kept even where it has more."""

IDLE = 1800.0
"""Seconds without a move after which an image is put away."""


class Kept:
    """Studies by tokens; the one that was not looked at for longest goes first.

    Args:
        most: bytes that they may have together.
        idle: seconds after which one that nobody looks at goes.
    """

    def __init__(self, most: int = MOST_BYTES, idle: float = IDLE) -> None:
        self.most = most
        self.idle = idle
        self._studies: OrderedDict[str, tuple[float, Study]] = OrderedDict()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def put(self, study: Study) -> str:
        """Keep a study; its token."""
        token = uuid.uuid4().hex
        with self._lock:
            self._studies[token] = time.monotonic(), study
            while len(self._studies) > 1 and self._bytes() > self.most:
                self._studies.popitem(last=False)
            self._watch()
        return token

    def get(self, token: str) -> Study | None:
        """The study of a token; None where it was put away."""
        with self._lock:
            if token not in self._studies:
                return None
            study = self._studies.pop(token)[1]
            self._studies[token] = time.monotonic(), study
            return study

    def drop(self, token: str | None) -> None:
        """Put a study away."""
        with self._lock:
            self._studies.pop(token or "", None)

    def _bytes(self) -> int:
        return sum(study.nbytes for _, study in self._studies.values())

    def _watch(self) -> None:
        """See to it that the oldest goes in time."""
        if self._timer is None and self._studies:
            self._timer = threading.Timer(self.idle, self._sweep)
            self._timer.daemon = True  # or the page could not end before it
            self._timer.start()

    def _sweep(self) -> None:
        with self._lock:
            latest = time.monotonic() - self.idle
            while self._studies and next(iter(self._studies.values()))[0] <= latest:
                self._studies.popitem(last=False)
            self._timer = None
            self._watch()
