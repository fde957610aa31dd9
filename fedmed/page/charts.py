"""Charts as inline SVG: axes, lines, bands and points, coloured by the page's style sheet.

What can be pointed at carries `data-tip`, which page.js shows; `data-model` lets it light up one
model in all charts at once. All tags are made by `element`, which escapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

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


def element(name: str, *content: str, **attributes: object) -> Markup:
    """A tag with its attributes and content, escaped.

    `class_` stands for class, `_` in other names for a hyphen; numbers get one decimal.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
    )
    inside = "".join(map(escape, content))
    return Markup(f"<{name}{written}>{inside}</{name}>" if content else f"<{name}{written}/>")


def _value(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else escape(value)


def svg(frame: Frame, title: str, *marks: str) -> Markup:
    """A chart; `title` is what is read out in its place."""
    view = f"0 0 {frame.width:g} {frame.height:g}"
    return element("svg", *marks, class_="fm-chart", viewBox=view, role="img", aria_label=title)


def axes(
    frame: Frame,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    x_title: str,
    y_title: str,
) -> Markup:
    """Grid lines, the labels of their ticks, and what the axes stand for."""
    left, right = frame.left, frame.width - frame.right
    top, bottom = frame.top, frame.height - frame.bottom
    marks = []
    for value, label in y_ticks:
        y = frame.down(value)
        marks.append(element("line", class_="fm-grid-line", x1=left, x2=right, y1=y, y2=y))
        marks.append(text(left - 7, y + 4, label, anchor="end"))
    for value, label in x_ticks:
        x = frame.across(value)
        marks.append(element("line", class_="fm-tick", x1=x, x2=x, y1=bottom, y2=bottom + 4))
        marks.append(text(x, bottom + 17, label, anchor="middle"))
    marks.append(element("line", class_="fm-axis", x1=left, x2=right, y1=bottom, y2=bottom))
    marks.append(text((left + right) / 2, frame.height - 5, x_title, anchor="middle", kind="title"))
    upright = {"transform": "rotate(-90)", "x": -(top + bottom) / 2, "y": 11}
    marks.append(element("text", y_title, class_="fm-title", text_anchor="middle", **upright))
    return Markup().join(marks)


def text(x: float, y: float, content: str, *, anchor: str = "start", kind: str = "label") -> Markup:
    """Text at a place in SVG units."""
    return element("text", content, class_=f"fm-{kind}", text_anchor=anchor, x=x, y=y)


def line(frame: Frame, points: Sequence[Point], *, model: str, tip: str) -> Markup:
    """A model's line, with a wider invisible one that is easier to point at."""
    path = frame.path(points)
    reach, drawn = (
        element("polyline", class_="fm-reach", points=path),
        element("polyline", points=path),
    )
    return element("g", reach, drawn, class_="fm-line", data_model=model, data_tip=tip)


def band(frame: Frame, upper: Sequence[Point], lower: Sequence[Point], *, model: str) -> Markup:
    """The area between two lines: a 95 % interval."""
    path = frame.path([*upper, *reversed(lower)])
    return element("polygon", class_="fm-band", data_model=model, points=path)


def dot(
    frame: Frame, point: Point, *, model: str, tip: str, radius: float = 4.5, kind: str = ""
) -> Markup:
    """A point; `kind` is a class of the style sheet."""
    x, y = frame.across(point[0]), frame.down(point[1])
    kinds = f"fm-dot {kind}".rstrip()
    r = f"{radius:g}"
    return element("circle", class_=kinds, data_model=model, data_tip=tip, cx=x, cy=y, r=r)


def rule(frame: Frame, start: Point, end: Point, *, kind: str = "fm-diagonal") -> Markup:
    """A straight line of reference."""
    (x1, y1), (x2, y2) = ((frame.across(x), frame.down(y)) for x, y in (start, end))
    return element("line", class_=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def shares(step: float = 0.25, low: float = 0.0) -> list[tuple[float, str]]:
    """Ticks from `low` to 1 in percent."""
    count = round((1 - low) / step)
    values = [low + step * index for index in range(count + 1)]
    return [(value, f"{100 * value:.0f}") for value in values]
