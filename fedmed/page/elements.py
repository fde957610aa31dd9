"""The small signs used all over the page: verdicts, class mixes, names and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fedmed.task import CLASSES

# A shape for each class, so that no verdict is told by its colour alone.
SHAPES = {
    "NORMAL": '<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="2.4"/>',
    "PNEUMONIA": '<path d="M8 .8 15.2 8 8 15.2 .8 8Z" fill="currentColor"/>',
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def shape(label: str) -> str:
    """The sign of a class: a ring for NORMAL, a filled diamond for PNEUMONIA."""
    return f'<svg class="fm-shape" viewBox="0 0 16 16" aria-hidden="true">{SHAPES[label]}</svg>'


def verdict(label: str) -> str:
    """A class by sign, name and colour."""
    return f'<span class="fm-verdict" data-label="{label}">{shape(label)}{label}</span>'


def mix_bar(counts: Mapping[str, int]) -> str:
    """How many images of each class there are, as a stacked bar with its numbers."""
    total = sum(counts.values()) or 1
    segments = "".join(
        f'<i data-label="{label}" style="width:{100 * counts[label] / total:.2f}%"></i>'
        for label in CLASSES
    )
    tip = ", ".join(f"{counts[label]:,} {label}" for label in CLASSES)
    return f'<span class="fm-mix-bar" data-tip="{tip}">{segments}</span>'


def counted(counts: Mapping[str, int]) -> str:
    """The numbers of a mix, each behind the sign of its class."""
    return "".join(
        f'<span class="fm-count" data-label="{label}">{shape(label)}{counts[label]:,}'
        f'<span class="fm-sr"> {label}</span></span>'
        for label in CLASSES
    )


def percent(share: float) -> str:
    """A share between 0 and 1; a decimal near the ends, where it matters."""
    value = 100 * share
    if value > 99.9:
        return "&gt;99.9 %"
    if value < 0.1:
        return "&lt;0.1 %"
    return f"{value:.1f} %" if value < 1 or value > 99 else f"{value:.0f} %"


def size(count: float) -> str:
    """Bytes in decimal units: `4.3 kB`."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def number(count: int) -> str:
    """Small numbers in words."""
    return NUMBERS[count] if count < len(NUMBERS) else f"{count:,}"


def listed(names: Sequence[str]) -> str:
    """`Hospital 1`, `Hospitals 1 and 3`, `Central, Federated and Hospital 2`."""
    if len(names) > 1 and all(name.startswith("Hospital ") for name in names):
        return "Hospitals " + listed([name.removeprefix("Hospital ") for name in names])
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def name_of(config: Mapping[str, Any], model: str) -> str:
    """A model's name as text; escape it where it goes into HTML."""
    return str(config["models"][model].get("title", model.replace("_", " ").capitalize()))


def safe_name(config: Mapping[str, Any], model: str) -> str:
    """A model's name as HTML."""
    return escape(name_of(config, model))
