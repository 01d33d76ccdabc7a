"""Line charts and histograms as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 96, 14, 34


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    errors: Mapping[str, Sequence[float]],
    label: str,
) -> str:
    """Values in [0, 1] over ``x``, each line named at its end, with bands of ± one error.

    Args:
        x: ascending positions.
        lines: by name, as many values as ``x``.
        errors: standard errors of some of the lines.
        label: what ``x`` is.
    """
    low, high = x[0], x[-1] if x[-1] > x[0] else x[0] + 1

    def at(position: float, value: float) -> str:
        across = (WIDTH - LEFT - RIGHT) * (position - low) / (high - low)
        return f"{LEFT + across:.1f},{_height(value):.1f}"

    parts = _grid() + [_under(at(p, 0), f"{p:.2f}") for p in x[:: max(1, len(x) // 5)]]
    ends = _apart([_height(values[-1]) for values in lines.values()])
    for k, (name, values) in enumerate(lines.items()):
        color = f"line{k % 8}"
        points = [at(p, v) for p, v in zip(x, values, strict=True)]
        if error := errors.get(name):
            top = [at(p, v + e) for p, v, e in zip(x, values, error, strict=True)]
            base = [at(p, v - e) for p, v, e in zip(x, values, error, strict=True)]
            parts.append(f'<polygon class="band {color}" points="{" ".join(top + base[::-1])}"/>')
        parts.append(f'<polyline class="line {color}" points="{" ".join(points)}"/>')
        parts += [
            f'<circle class="dot {color}" cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="2.6"/>'
            for p in points
        ]
        parts.append(
            f'<text class="name {color}" x="{WIDTH - RIGHT + 10}" y="{ends[k] + 4:.1f}">'
            f"{escape(name)}</text>"
        )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 2}" class="axis mid">{escape(label)}</text>')
    return _svg(parts, f"{', '.join(lines)} over {label}")


def histogram(values: Sequence[float], label: str, bins: int = 10) -> str:
    """How many of ``values`` (in [0, 1]) fall into each of ``bins`` equal parts."""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, max(0, int(value * bins + 1e-9)))] += 1
    room = WIDTH - LEFT - RIGHT / 3
    step, most = room / bins, max(*counts, 1)
    parts = []
    for k, count in enumerate(counts):
        height = (HEIGHT - TOP - BOTTOM - 14) * count / most
        left, top = LEFT + k * step, HEIGHT - BOTTOM - height
        parts.append(
            f'<rect class="bar" x="{left + 2:.1f}" y="{top:.1f}" width="{step - 4:.1f}" '
            f'height="{height:.1f}" rx="2"/>'
        )
        if count:
            parts.append(
                f'<text class="axis mid" x="{left + step / 2:.1f}" y="{top - 5:.1f}">{count}</text>'
            )
    base = HEIGHT - BOTTOM
    parts.append(f'<path class="grid" d="M{LEFT} {base}H{LEFT + room:.1f}"/>')
    for k in range(0, bins + 1, 2):
        parts.append(_under(f"{LEFT + k * step:.1f},{base}", f"{k / bins:.1f}"))
    parts.append(
        f'<text class="axis mid" x="{LEFT + room / 2}" y="{HEIGHT - 2}">{escape(label)}</text>'
    )
    return _svg(parts, label)


def _height(value: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, max(0.0, value)))


def _grid() -> list[str]:
    parts = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        y = _height(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="axis end" x="{LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>')
    return parts


def _under(point: str, text: str) -> str:
    return (
        f'<text class="axis mid" x="{point.split(",")[0]}" y="{HEIGHT - BOTTOM + 16}">{text}</text>'
    )


def _apart(heights: Sequence[float], least: float = 14) -> list[float]:
    """Move the lines' names down or up until none covers another."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    placed = list(heights)
    for before, k in pairwise(order):
        placed[k] = max(placed[k], placed[before] + least)
    over = placed[order[-1]] - (HEIGHT - BOTTOM) if order else 0
    return [y - max(0.0, over) for y in placed]


def _svg(parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
