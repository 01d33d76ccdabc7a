"""Kills a run at named moments and at random times, and compares what it goes on to.

    python benchmarks/kills.py

Prints of each moment how the run is taken up, and whether weights, tables and pictures are then
those of a run that was not killed, and no temporary file is left.
"""

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "training"))
import killed

from spatialembed.data.scenes import make_scenes

TIMES = 5
"""Kills at random times, of which one run may see several."""


def killed_at(moment: str, data: Path, out: Path) -> bool:
    return killed.run(killed.config_of(data, out), moment) == -signal.SIGKILL


def killed_at_random(seconds: float, data: Path, out: Path) -> bool:
    process = killed.started(killed.config_of(data, out))
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL


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
        began = time.monotonic()
        killed.run(killed.config_of(data, Path(folder) / "timed"))
        length = time.monotonic() - began
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
            seconds, out = draw.uniform(0.05, 0.95) * length, Path(folder) / f"random{number}"
            moment = f"after {seconds:.2f} s"
            assert killed_at_random(seconds, data, out), moment
            results[moment] = compared(whole, data, out)
            print(f"{moment:52} {results[moment]}", flush=True)
        same = sum("the same" in result for result in results.values())
        print(f"{same} of {len(results)} are the same as without a kill")
        return int(same < len(results))


if __name__ == "__main__":
    sys.exit(main())
