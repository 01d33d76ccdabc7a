"""Peers in environments of their own, made from pinned packages: asked and trained side by side."""

import json
import os
import subprocess
import time
import venv
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
Paths = list[tuple[str, str, str]]
"""Of images, of their label masks and of the labels to write."""


class Peer(NamedTuple):
    """What is compared."""

    name: str
    packages: Sequence[str]
    told: str
    """What of it was timed, and with which weights."""


def environment(folder: Path, peer: Peer) -> Path | str:
    """Python of a peer's environment, made if it is not there; or why it could not be made."""
    python = folder / "bin" / "python"
    done = folder / "packages.txt"
    if done.exists() and done.read_text().split() == list(peer.packages):
        return python
    venv.create(folder, with_pip=True, clear=True)
    command = [python, "-m", "pip", "install", "--quiet", *peer.packages]
    made = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if made.returncode:
        errors = [line for line in made.stderr.splitlines() if line.startswith("ERROR")]
        return f"not installed: {(errors or ['pip failed'])[-1]}"
    done.write_text("\n".join(peer.packages))
    return python


class Worker:
    """A process that works on images when it is asked to, on some cores of the machine."""

    def __init__(self, name: str, python: Path | str, cores: Sequence[int], *given: object) -> None:
        self.process = subprocess.Popen(
            [python, HERE / "peers" / f"of_{name}.py", *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if name.startswith("ours") else subprocess.DEVNULL,
            text=True,
            env=clean(len(cores)),
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self.answer()

    def answer(self) -> Any:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended")
        return json.loads(line)

    def ask(self, paths: Sequence[Sequence[str]]) -> None:
        """Have it work on images, and do not wait."""
        assert self.process.stdin is not None
        print(json.dumps(paths), file=self.process.stdin, flush=True)

    def work(self, paths: Paths) -> dict[str, float]:
        """Seconds by stage and whole, and its peak of memory so far in GB."""
        self.ask(paths)
        answer: dict[str, float] = self.answer()
        return answer

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def clean(threads: int) -> dict[str, str]:
    """Environment variables of a worker."""
    own = {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **own}


def on_cores(pythons: dict[str, Path]) -> Iterator[tuple[int, tuple[str, Path]]]:
    """Each side with a core of its own."""
    return zip(sorted(os.sched_getaffinity(0)), pythons.items(), strict=False)


def trained(
    pythons: dict[str, Path], given: dict[str, Sequence[object]], folder: Path
) -> dict[str, Any]:
    """Train all at the same time; what each tells, or the last that it said before it failed."""
    start, told, running = time.perf_counter(), {}, {}
    for core, (name, python) in on_cores(pythons):
        (folder / name).mkdir()
        data, *others = given[name]
        words = [python, HERE / "peers" / f"of_{name}.py", "train", data, folder / name, *others]
        running[name] = subprocess.Popen(
            list(map(str, words)),
            stdout=subprocess.PIPE,
            stderr=(folder / f"{name}.txt").open("w"),
            env=clean(1),
            preexec_fn=partial(os.sched_setaffinity, 0, [core]),
        )
    while running:
        time.sleep(0.2)
        for name in [n for n, process in running.items() if process.poll() is not None]:
            answer, _ = running.pop(name).communicate()
            said = (folder / f"{name}.txt").read_text(errors="replace").split("\n")
            last = next((line for line in reversed(said) if line.strip()), "")
            told[name] = json.loads(answer) if answer else {"failed": last}
            told[name]["wall"] = time.perf_counter() - start
    return {name: told[name] for name in pythons}
