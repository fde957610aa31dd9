"""Time and memory of a round against the number of hospitals, as an SVG for light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedmed.page import charts
from fedmed.page.charts import Frame

STYLE = """<style>
.fm-label,.fm-title,.fm-name{font:12px system-ui,sans-serif;fill:#57606a}
.fm-grid-line,.fm-tick,.fm-axis{stroke:#57606a;stroke-width:1}.fm-grid-line{opacity:.25}
.fm-line polyline{fill:none;stroke-width:2.4}.fm-line .fm-reach{stroke:none}
[data-model=a] polyline{stroke:#0b7285}[data-model=b] polyline{stroke:#c2410c}
.fm-dot[data-model=a]{fill:#0b7285}.fm-dot[data-model=b]{fill:#c2410c}
@media (prefers-color-scheme:dark){
.fm-label,.fm-title,.fm-name{fill:#adbac7}.fm-grid-line,.fm-tick,.fm-axis{stroke:#adbac7}
[data-model=a] polyline{stroke:#4dd0e1}[data-model=b] polyline{stroke:#ffa057}
.fm-dot[data-model=a]{fill:#4dd0e1}.fm-dot[data-model=b]{fill:#ffa057}}
</style>"""
PANELS = {"seconds": "Seconds a round", "memory above, MiB": "Memory above the features, MiB"}
WIDTH, HEIGHT = 420, 320


def draw(numbers: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Write the chart of `numbers`: rows with hospitals, seconds and memory, by way of growing."""
    panels = "".join(
        f'<g transform="translate({place * WIDTH},0)">{_panel(numbers, column, title)}</g>'
        for place, (column, title) in enumerate(PANELS.items())
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(PANELS) * WIDTH} {HEIGHT}" '
        'role="img" aria-label="Seconds and memory of a round against the number of hospitals">'
        f"{STYLE}{panels}</svg>\n",
        encoding="utf-8",
    )


def _panel(numbers: Mapping[str, Sequence[Mapping[str, Any]]], column: str, title: str) -> str:
    lines = {
        way: [(math.log10(row["hospitals"]), math.log10(max(row[column], 1e-3))) for row in rows]
        for way, rows in numbers.items()
    }
    points = [point for line in lines.values() for point in line]
    low, high = math.floor(min(y for _, y in points)), math.ceil(max(y for _, y in points))
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    frame = Frame(
        x=(left, right), y=(low, high), width=WIDTH, height=HEIGHT, left=56, right=28, top=44
    )
    ticks = [(math.log10(row["hospitals"]), f"{row['hospitals']:,}") for row in _longest(numbers)]
    decades = [(float(power), f"{10.0**power:,g}") for power in range(low, high + 1)]
    parts = [charts.axes(frame, ticks, decades, "Hospitals", title)]
    for place, (way, line) in enumerate(lines.items()):
        model = "ab"[place]
        parts.append(charts.line(frame, line, model=model, tip=way))
        parts += [charts.dot(frame, point, model=model, tip=way, radius=3.5) for point in line]
        x, y = frame.left + 170 * place, 20
        key = charts.element("polyline", points=f"{x},{y} {x + 22},{y}")
        parts.append(charts.element("g", key, class_="fm-line", data_model=model))
        parts.append(charts.text(x + 28, y + 4, way, kind="name"))
    return "".join(parts)


def _longest(numbers: Mapping[str, Sequence[Mapping[str, Any]]]) -> Sequence[Mapping[str, Any]]:
    return max(numbers.values(), key=len)
