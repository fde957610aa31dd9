"""Charts as inline SVG: axes, lines, bands and points, coloured by the page's style sheet.

What can be pointed at carries `data-tip`, which page.js shows; `data-model` lets it light up one
model in all charts at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The plot area of a chart and the values its edges stand for."""

    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)
    width: float = 400
    height: float = 300
    left: float = 46
    right: float = 12
    top: float = 12
    bottom: float = 42

    def across(self, value: float) -> float:
        """Where a value of x lies, in SVG units."""
        low, high = self.x
        inside = self.width - self.left - self.right
        return self.left + inside * (value - low) / (high - low)

    def down(self, value: float) -> float:
        """Where a value of y lies, in SVG units."""
        low, high = self.y
        inside = self.height - self.top - self.bottom
        return self.height - self.bottom - inside * (value - low) / (high - low)

    def path(self, points: Iterable[Point]) -> str:
        """`x,y x,y ...` of points given in values."""
        return " ".join(f"{self.across(x):.1f},{self.down(y):.1f}" for x, y in points)


def svg(frame: Frame, title: str, *parts: str) -> str:
    """A chart; `title` is what is read out in its place."""
    return (
        f'<svg class="fm-chart" viewBox="0 0 {frame.width:g} {frame.height:g}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def axes(
    frame: Frame,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    x_title: str,
    y_title: str,
) -> str:
    """Grid lines, the labels of their ticks, and what the axes stand for."""
    left, right = frame.left, frame.width - frame.right
    top, bottom = frame.top, frame.height - frame.bottom
    parts = []
    for value, label in y_ticks:
        y = frame.down(value)
        parts.append(
            f'<line class="fm-grid-line" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(text(left - 7, y + 4, label, anchor="end"))
    for value, label in x_ticks:
        x = frame.across(value)
        parts.append(
            f'<line class="fm-tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        )
        parts.append(text(x, bottom + 17, label, anchor="middle"))
    parts.append(f'<line class="fm-axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(text((left + right) / 2, frame.height - 5, x_title, anchor="middle", kind="title"))
    middle = (top + bottom) / 2
    parts.append(
        f'<text class="fm-title" text-anchor="middle" transform="rotate(-90)" '
        f'x="{-middle:.1f}" y="11">{escape(y_title)}</text>'
    )
    return "".join(parts)


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "label") -> str:
    return (
        f'<text class="fm-{kind}" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">'
        f"{escape(words)}</text>"
    )


def line(frame: Frame, points: Sequence[Point], *, model: str, tip: str) -> str:
    """A model's line, with a wider invisible one that is easier to point at."""
    path = frame.path(points)
    return (
        f'<g class="fm-line" data-model="{escape(model)}" data-tip="{escape(tip)}">'
        f'<polyline class="fm-reach" points="{path}"/><polyline points="{path}"/></g>'
    )


def band(frame: Frame, upper: Sequence[Point], lower: Sequence[Point], *, model: str) -> str:
    """The area between two lines: a 95 % interval."""
    path = frame.path([*upper, *reversed(lower)])
    return f'<polygon class="fm-band" data-model="{escape(model)}" points="{path}"/>'


def dot(
    frame: Frame, point: Point, *, model: str, tip: str, radius: float = 4.5, kind: str = ""
) -> str:
    x, y = frame.across(point[0]), frame.down(point[1])
    return (
        f'<circle class="fm-dot {kind}" data-model="{escape(model)}" data-tip="{escape(tip)}" '
        f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'
    )


def rule(frame: Frame, start: Point, end: Point, *, kind: str = "fm-diagonal") -> str:
    """A straight line of reference."""
    (x1, x2), (y1, y2) = map(frame.across, (start[0], end[0])), map(frame.down, (start[1], end[1]))
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def shares(step: float = 0.25, low: float = 0.0) -> list[tuple[float, str]]:
    """Ticks from `low` to 1 in percent."""
    count = round((1 - low) / step)
    values = [low + step * place for place in range(count + 1)]
    return [(value, f"{100 * value:.0f}") for value in values]
