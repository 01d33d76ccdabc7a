"""Line charts and histograms as inline SVG, coloured by the page's style sheet.

No library draws them: matplotlib, which the extra of the page does not have, sets colours and
typeface in the file, where they cannot follow the page into the dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 96, 14, 34
LINE = 14
"""From a name to the next below."""
DOTTED = 20
"""Points up to which each of a line's has a dot."""


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    errors: Mapping[str, Sequence[float]],
    label: str,
    span: tuple[float, float] | None = None,
) -> str:
    """Values in [0, 1] over positions, each line named at its end, with bands of ± one error.

    Args:
        lines: positions, ascending, and values, by name.
        errors: standard errors of some of the lines.
        label: what the positions are.
        span: first and last position of the axis; None for those of the lines.
    """
    positions = span or [p for x, _ in lines.values() for p in x]
    low, high = min(positions), max(positions)
    high = high if high > low else low + 1

    def at(where: ArrayLike, values: ArrayLike) -> list[str]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * (np.asarray(where) - low) / (high - low)
        pairs = zip(across, np.asarray(values), strict=True)
        return [f"{x:.1f},{_height(value):.1f}" for x, value in pairs]

    marks = [low + (high - low) * k / 4 for k in range(5)]
    ends = _apart([_height(values[-1]) for _, values in lines.values()])
    parts = _grid() + [_under(at([p], [0])[0], f"{p:.2f}") for p in marks]
    for k, (name, (where, values)) in enumerate(lines.items()):
        color, points = f"line{k % 8}", at(where, values)
        if name in errors:
            value, error = np.asarray(values), np.asarray(errors[name])
            band = at(where, value + error) + at(where, value - error)[::-1]
            parts.append(f'<polygon class="band {color}" points="{" ".join(band)}"/>')
        parts.append(f'<polyline class="line {color}" points="{" ".join(points)}"/>')
        for x, y in (point.split(",") for point in points if len(points) <= DOTTED):
            parts.append(f'<circle class="dot {color}" cx="{x}" cy="{y}" r="2.6"/>')
        place = f'x="{WIDTH - RIGHT + 10}" y="{ends[k] + 4:.1f}"'
        parts.append(f'<text class="name {color}" {place}>{escape(name)}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 2}" class="axis mid">{escape(label)}</text>')
    return _svg(parts, f"{', '.join(lines)} over {label}")


def bars(
    edges: Sequence[str], counts: Sequence[int], label: str, parts_of: Sequence[int] = ()
) -> str:
    """A histogram: how many lie between each two edges.

    Args:
        edges: texts of the B + 1 edges; empty ones are not written.
        counts: B numbers.
        label: what the edges are.
        parts_of: B numbers, how many of each count are drawn stronger; none for all of them.
    """
    room, base, tall = WIDTH - LEFT - RIGHT / 3, HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM - 14
    step, most = room / max(len(counts), 1), max(*counts, 1, 1)
    drawn = []
    for k, (count, strong) in enumerate(zip(counts, parts_of or counts, strict=True)):
        left = LEFT + k * step
        for number, kind in ((count, "bar weak"), (strong, "bar")):
            height = tall * number / most
            drawn.append(
                f'<rect class="{kind}" x="{left + 2:.1f}" y="{base - height:.1f}" '
                f'width="{step - 4:.1f}" height="{height:.1f}" rx="2"/>'
            )
        if count:
            told = f"{strong}/{count}" if parts_of else f"{count}"
            drawn.append(
                _text(f"{left + step / 2:.1f}", f"{base - tall * count / most - 5:.1f}", told)
            )
    drawn.append(f'<path class="grid" d="M{LEFT} {base}H{LEFT + room:.1f}"/>')
    drawn += [_under(f"{LEFT + k * step:.1f},{base}", text) for k, text in enumerate(edges) if text]
    drawn.append(_text(LEFT + room / 2, HEIGHT - 2, escape(label)))
    return _svg(drawn, label)


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
    return _text(point.split(",")[0], HEIGHT - BOTTOM + 16, text)


def _text(x: object, y: object, text: str) -> str:
    return f'<text class="axis mid" x="{x}" y="{y}">{text}</text>'


def _apart(heights: Sequence[float]) -> list[float]:
    """Move the lines' names down or up until none covers another."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    placed = list(heights)
    for before, k in pairwise(order):
        placed[k] = max(placed[k], placed[before] + LINE)  # down only, then all up as one
    over = placed[order[-1]] - (HEIGHT - BOTTOM) if order else 0
    return [y - max(0.0, over) for y in placed]


def _svg(parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
