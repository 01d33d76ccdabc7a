"""What the benchmark of a card has found so far, as a page and as JSON; both always whole."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import torch

from gpu_timing import Figure
from measure import machine

HEADER = ["what", "measured", "beside it", "peak memory"]


class Report:
    """Rows by section, written anew at each change, so that one cut short has lost nothing.

    Args:
        folder: where ``gpu.md`` and ``gpu.json`` are; what is there already is gone on with.
        device: that is measured.
        command: that measures.
    """

    def __init__(self, folder: Path, device: str, command: str) -> None:
        self.json, self.page = folder / "gpu.json", folder / "gpu.md"
        if self.json.is_file():
            self.content: dict[str, Any] = json.loads(self.json.read_text(encoding="utf-8"))
            return
        self.content = {
            "card": card(device),
            "machine": machine(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "date": date.today().isoformat(),
            "command": command,
            "sections": {},
        }

    def begin(self, name: str) -> None:
        """Take note that a section is begun."""
        self._section(name)
        self.write()

    def add(self, name: str, what: str, figure: Figure, peak: int | None = None) -> None:
        """Take note of a figure, and of the bytes the card held at most meanwhile."""
        row = {"what": what, **figure._asdict(), "shown": str(figure), "peak_bytes": peak}
        self._section(name)["rows"].append(row)
        self.write()

    def fail(self, name: str, what: str, error: str) -> None:
        """Take note of what could not be measured, and why."""
        self._section(name)["rows"].append({"what": what, "error": error})
        self.write()

    def finish(self, name: str, seconds: float) -> None:
        """Take note that a section is done, so that it is not begun again."""
        self._section(name)["seconds"] = round(seconds, 1)
        self.write()

    def begun(self, name: str) -> bool:
        """Whether a section was begun, and perhaps is done."""
        return name in self.content["sections"]

    def done(self, name: str) -> bool:
        """Whether a section need not be begun again."""
        return "seconds" in self.content["sections"].get(name, {})

    @property
    def failed(self) -> bool:
        """Whether anything could not be measured or was not equal."""
        rows = (row for section in self.content["sections"].values() for row in section["rows"])
        return any("error" in row for row in rows)

    def write(self) -> None:
        """Both files; each is replaced as a whole."""
        _replace(self.json, json.dumps(self.content, indent=1, ensure_ascii=False, default=float))
        _replace(self.page, self._markdown())

    def _section(self, name: str) -> dict[str, Any]:
        """What is known of a section: "rows", and "seconds" once it is done."""
        found: dict[str, Any] = self.content["sections"].setdefault(name, {"rows": []})
        return found

    def _markdown(self) -> str:
        content = self.content
        on = f"torch {content['torch']}, CUDA {content['cuda']}; {content['machine']}"
        lines = [f"# {content['card']}", "", f"`{content['command']}`, {content['date']}; {on}"]
        for name, section in content["sections"].items():
            took = f" ({section['seconds']:.0f} s)" if "seconds" in section else " (not finished)"
            lines += ["", f"## {name}{took}", "", _line(HEADER), "|" + "---|" * len(HEADER)]
            lines += [_line(_cells(row)) for row in section["rows"]]
        return "\n".join(lines) + "\n"


def card(device: str) -> str:
    """Name of what is measured, with its memory."""
    if torch.device(device).type != "cuda":
        return "CPU (no card)"
    properties = torch.cuda.get_device_properties(device)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"


def _cells(row: dict[str, Any]) -> list[str]:
    if "error" in row:
        return [row["what"], "failed", row["error"].replace("|", "/"), ""]
    peak = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**30:.2f} GiB"
    return [row["what"], row["shown"], row["beside"], peak]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
