"""Kills a run at named moments and at random times, and compares what it goes on to.

    python benchmarks/kills.py

Prints of each moment how the run is taken up, and whether weights, tables and pictures are then
those of a run that was not killed, and no temporary file is left.
"""

import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "training"))
import killed

from spatialembed.demo.scenes import make_scenes

TIMES = 5
"""Kills at random times."""


def killed_at(moment: str, data: Path, out: Path) -> bool:
    return killed.run(killed.config_of(data, out), moment) == -signal.SIGKILL


def killed_after(seconds: float, data: Path, out: Path) -> None:
    """A run that is killed so long after its first checkpoint, if it is not done by then."""
    process = killed.started(killed.config_of(data, out))
    wait_for_checkpoint(out)
    time.sleep(seconds)
    process.kill()
    process.join()


def seconds_of(data: Path, out: Path) -> float:
    """How long a run takes from its first checkpoint on."""
    process = killed.started(killed.config_of(data, out))
    wait_for_checkpoint(out)
    began = time.monotonic()
    process.join()
    return time.monotonic() - began


def wait_for_checkpoint(out: Path) -> None:
    while not (out / "checkpoint.pt").exists():
        time.sleep(0.01)


def compared(whole: Path, data: Path, out: Path) -> str:
    """How a killed run goes on, and to what."""
    try:
        way = killed.go_on(data, out)
        killed.assert_same(whole, out)
        assert not list(data.rglob(".spatialembed-part-*")), "a temporary file is left"
    except AssertionError as error:
        return f"DIFFERENT: {error}"
    return f"{way:10} the same"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        data, whole = Path(folder) / "scenes", Path(folder) / "whole"
        make_scenes(data, 4, 2, (96, 64))
        killed.run(killed.config_of(data, whole))  # which loads and compiles
        length = seconds_of(data, Path(folder) / "timed")
        results = {}
        for number, moment in enumerate(killed.MOMENTS):
            out = Path(folder) / str(number)
            for file in data.glob(".spatialembed-train-*") if "index" in moment else ():
                file.unlink()
            assert killed_at(moment, data, out), moment
            results[moment] = compared(whole, data, out)
            print(f"{moment:52} {results[moment]}", flush=True)
        draw = random.Random(0)
        for number in range(TIMES):
            seconds, out = draw.uniform(0, 0.8) * length, Path(folder) / f"random{number}"
            moment = f"{seconds:.2f} of {length:.2f} s after the first checkpoint"
            killed_after(seconds, data, out)
            results[moment] = compared(whole, data, out)
            print(f"{moment:52} {results[moment]}", flush=True)
        same = sum("the same" in result for result in results.values())
        print(f"{same} of {len(results)} are the same as without a kill")
        return int(same < len(results))


if __name__ == "__main__":
    sys.exit(main())
