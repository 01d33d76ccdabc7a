"""Times two things side by side, and keeps the tables of speed.md and accuracy.md."""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

import spatialembed as se
from spatialembed.inference.predictor import Model


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def side_by_side(works: dict[str, Callable[[], object]], runs: int = 5) -> dict[str, float]:
    """Median seconds of each work; they take turns, so that a slow spell meets all of them.

    A turn is two calls of which the second counts: the first compiles kernels, and takes back the
    memory and the caches that the others left cold.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            work()
            times[name].append(seconds(work))
    return {name: median(values) for name, values in times.items()}


def write_table(
    name: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    given: str = "",
    page: str = "speed.md",
    table: str = "",
) -> None:
    """Print a table, and put it in place of the one of that name.

    Args:
        name: of the benchmark's file.
        header, rows: the table.
        given: arguments of the command that wrote it.
        page: where it stands.
        table: what the table is called there; as the file, if it has but one.
    """
    command = f"python benchmarks/{name}.py {given}".strip()
    lines = [
        f"| {' | '.join(header)} |",
        "|" + "---|" * len(header),
        *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows),
        "",
        f"`{command}`, {date.today().isoformat()}; {machine()}",
    ]
    text = "\n".join(lines)
    print(text)
    begin, end = (f"<!-- {word}{table or name} -->" for word in ("", "end "))
    path = Path(__file__).with_name(page)
    before, rest = path.read_text(encoding="utf-8").split(begin)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def in_own_process(*arguments: object) -> dict[str, float] | None:
    """What the file that runs prints with these arguments; None where it failed."""
    command = [sys.executable, sys.argv[0], *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def scores(model: Model | str | Path, data: Path) -> list[str]:
    """AP50 and mean AP of a model, or of a run, on the test images, mean over images."""
    mean = se.evaluate(model, data, "test")["mean"]["mean_over_images"]
    return [f"{mean['ap'][0]:.3f}", f"{mean['ap_mean']:.3f}"]


def machine() -> str:
    """Processor, threads and torch of this run."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
            break
    bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    kind = "with bfloat16" if bf16 else "without bfloat16"
    return f"{model} ({kind}), {torch.get_num_threads()} threads, torch {torch.__version__}"


def operations(work: Callable[[], object]) -> int:
    """Multiplications and additions of one call, by torch's counter."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@lru_cache
def convolution_limit(dtype: torch.dtype) -> float:
    """Operations a second of the kind of convolution that this machine is best at."""
    x = torch.randn(8, 128, 64, 64).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3).contiguous(memory_format=torch.channels_last)
    counted = operations(lambda: torch.nn.functional.conv2d(x, weight, padding=1))
    if dtype == torch.qint8:
        x = torch.quantize_per_tensor(x, 0.05, 128, torch.quint8)
        weight = torch.quantize_per_tensor(weight, 0.05, 0, dtype)
        ones = [1, 1]
        packed = torch.ops.quantized.conv2d_prepack(weight, None, ones, ones, ones, 1)
        work = partial(torch.ops.quantized.conv2d, x, packed, 0.1, 128)
    else:
        work = partial(torch.nn.functional.conv2d, x.to(dtype), weight.to(dtype), padding=1)
    return counted / side_by_side({"limit": work}, 15)["limit"]


@lru_cache
def copy_limit() -> float:
    """Bytes a second that a large array is read and written at."""
    source, target = torch.zeros(2**26), torch.zeros(2**26)
    size = 2 * source.numel() * source.element_size()
    return size / side_by_side({"copy": lambda: target.copy_(source)}, 7)["copy"]


def network_rows(
    times: dict[str, float], counts: dict[str, int]
) -> list[tuple[str, str, str, str]]:
    """Rows of a table of works named "NETWORK, how": time, ratio to the first, share of the limit.

    Args:
        times: seconds of each work.
        counts: operations of each network.
    """
    first = next(iter(times.values()))
    rows = []
    for work, seconds in times.items():
        precision = {"bf16": torch.bfloat16, "int8": torch.qint8}
        dtype = next((d for name, d in precision.items() if name in work), torch.float32)
        share = counts[work.split(",")[0]] / seconds / convolution_limit(dtype)
        rows.append((work, show(seconds), f"{first / seconds:.1f} ×", f"{share:.0%}"))
    return rows


def show(value: float) -> str:
    """A duration with three digits, in ms or s."""
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
