"""What a run leaves to read: losses and validations as CSV, TensorBoard if asked, the console."""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path
from typing import Any

from spatialembed.console.output import console
from spatialembed.errors import missing_extra
from spatialembed.files.writing import write_csv

EVERY = 10
"""Steps averaged into one row of losses."""

TALK = 15.0
"""Seconds between two lines on the console."""


class RunLog:
    """Writes ``losses.csv`` and ``validation.csv`` in the run folder, and tells the console.

    Args:
        out: run folder.
        total: steps of the run.
        step: steps already done; rows of later steps, of a run that was killed, are dropped.
        tensorboard: also write TensorBoard's event files (extra "log").
        writes: whether to write at all, which only one of several processes does.
        sums: those of :attr:`sums` at that step.

    Raises:
        UserError: TensorBoard is asked for and not installed.
    """

    def __init__(
        self,
        out: Path,
        total: int,
        step: int = 0,
        tensorboard: bool = False,
        writes: bool = True,
        sums: dict[str, float] | None = None,
    ) -> None:
        self.out = out
        self.writes = writes
        self.total = total
        self._sums: dict[str, float] = dict(sums or {})
        self._count = step % EVERY
        self._began = time.monotonic()
        self._spoke = -math.inf
        self._first = step
        self._crops = 0
        self._paused = 0.0
        self._board = _summary_writer(out, step) if tensorboard and writes else None
        for name in ("losses", "validation") if writes else ():
            _drop_rows_after(out / f"{name}.csv", step)

    @property
    def sums(self) -> dict[str, float]:
        """Sums of the loss's terms in the row that is not full yet, for a checkpoint."""
        return dict(self._sums)

    def say(self, text: str) -> None:
        """One line on the console."""
        console.print(text, highlight=False, soft_wrap=True)

    def step(self, step: int, rate: float, crops: int, terms: dict[str, float]) -> None:
        """Take note of step ``step`` (from 1): learning rate, crops and the loss's terms."""
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        self._crops += crops
        means = {name: value / self._count for name, value in self._sums.items()}
        now = time.monotonic()
        if now - self._spoke > TALK or step == self.total:
            self._spoke = now
            self._tell(step, means)
        if step % EVERY == 0 or step == self.total:
            self._sums, self._count = {}, 0
            speed = {"crops_per_second": self._crops / self._elapsed()}
            self._write("losses", {"step": step, "learning_rate": rate, **means, **speed})

    def _tell(self, step: int, means: dict[str, float]) -> None:
        left = self._elapsed() / (step - self._first) * (self.total - step)
        parts = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        self.say(
            f"step {step}/{self.total}  {parts}  "
            f"{self._crops / self._elapsed():.1f} crops/s  {_duration(left)} left"
        )

    def validation(self, step: int, row: dict[str, Any], seconds: float) -> None:
        """Take note of a validation that took ``seconds``, which do not count as training."""
        self._paused += seconds
        self._write("validation", {"step": step, **row, "seconds": round(seconds, 1)})
        seeds = [f"{value:g}" for key, value in row.items() if key.startswith("seed_threshold")]
        self.say(
            f"validation at step {step}: AP {row['ap']:.3f}, AP50 {row['ap50']:.3f} at seed "
            f"threshold {', '.join(seeds)}, {row['images']} images, {seconds:.0f} s"
            + (", the best so far" if row["best"] else "")
        )

    def _elapsed(self) -> float:
        return max(time.monotonic() - self._began - self._paused, 1e-9)

    def _write(self, name: str, row: dict[str, Any]) -> None:
        if not self.writes:
            return
        path = self.out / f"{name}.csv"
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
        if self._board is not None:
            for key, value in row.items():
                if key != "step":
                    self._board.add_scalar(f"{name}/{key}", value, row["step"])
            self._board.flush()


def _summary_writer(out: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise missing_extra("TensorBoard", "log") from error
    return SummaryWriter(out / "tensorboard", purge_step=step + 1)


def _drop_rows_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = [*csv.reader(file)] or [[]]
    whole = [row for row in rows if len(row) == len(head) and row[0].isdigit()]  # a kill may tear
    if not (kept := [row for row in whole if int(row[0]) <= step]):
        path.unlink()
        return
    write_csv(path, [head, *kept])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
