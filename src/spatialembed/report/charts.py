"""Line charts and histograms as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 96, 14, 34
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

    def at(position: float, value: float) -> str:
        across = (WIDTH - LEFT - RIGHT) * (position - low) / (high - low)
        return f"{LEFT + across:.1f},{_height(value):.1f}"

    marks = [low + (high - low) * k / 4 for k in range(5)]
    parts = _grid() + [_under(at(p, 0), f"{p:.2f}") for p in marks]
    ends = _apart([_height(values[-1]) for _, values in lines.values()])
    for k, (name, (where, values)) in enumerate(lines.items()):
        color = f"line{k % 8}"
        points = [at(p, v) for p, v in zip(where, values, strict=True)]
        if error := errors.get(name):
            top = [at(p, v + e) for p, v, e in zip(where, values, error, strict=True)]
            base = [at(p, v - e) for p, v, e in zip(where, values, error, strict=True)]
            parts.append(f'<polygon class="band {color}" points="{" ".join(top + base[::-1])}"/>')
        parts.append(f'<polyline class="line {color}" points="{" ".join(points)}"/>')
        if len(points) <= DOTTED:
            centers = (point.split(",") for point in points)
            parts += [
                f'<circle class="dot {color}" cx="{x}" cy="{y}" r="2.6"/>' for x, y in centers
            ]
        parts.append(
            f'<text class="name {color}" x="{WIDTH - RIGHT + 10}" y="{ends[k] + 4:.1f}">'
            f"{escape(name)}</text>"
        )
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
    room = WIDTH - LEFT - RIGHT / 3
    step, most = room / max(len(counts), 1), max(*counts, 1, 1)
    drawn = []
    for k, count in enumerate(counts):
        left = LEFT + k * step
        strong = parts_of[k] if parts_of else count
        for number, kind in ((count, "bar weak"), (strong, "bar")):
            height = (HEIGHT - TOP - BOTTOM - 14) * number / most
            drawn.append(
                f'<rect class="{kind}" x="{left + 2:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" '
                f'width="{step - 4:.1f}" height="{height:.1f}" rx="2"/>'
            )
        if count:
            top = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM - 14) * count / most
            told = f"{strong}/{count}" if parts_of else f"{count}"
            drawn.append(
                f'<text class="axis mid" x="{left + step / 2:.1f}" y="{top - 5:.1f}">{told}</text>'
            )
    base = HEIGHT - BOTTOM
    drawn.append(f'<path class="grid" d="M{LEFT} {base}H{LEFT + room:.1f}"/>')
    drawn += [_under(f"{LEFT + k * step:.1f},{base}", text) for k, text in enumerate(edges) if text]
    drawn.append(
        f'<text class="axis mid" x="{LEFT + room / 2}" y="{HEIGHT - 2}">{escape(label)}</text>'
    )
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
