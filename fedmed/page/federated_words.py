"""What hospitals and the server do with an algorithm, in words for the About tab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MEAN = "averages them, weighted by what the images behind each count in training"
ROBUST = {
    "median": ("takes medians of", "takes the median of each number over the hospitals"),
    "trimmed-mean": (
        "trims and averages",
        "leaves out the largest and the smallest of each number and averages the rest",
    ),
    "krum": ("picks among", "keeps those of the one hospital that lies nearest to the others"),
}


class Words(NamedTuple):
    """Of a round, or of the only one."""

    server: str  # "Server: ..." in the figure
    up: str  # what goes up, with its article
    down: str
    makes: str  # "A server ...", of the numbers that hospitals send; empty where they send sums
    sums: str  # what the hospitals add up, where they train nothing
    one_round: bool


def words(report: Mapping[str, Any] | None, *, whole: bool) -> Words:
    """Return the words for a report's algorithm; without one, those of federated averaging."""
    algorithm = report["algorithm"] if report and "algorithm" in report else {"name": "fedavg"}
    name, thing = algorithm["name"], "network" if whole else "head"
    one_round = bool(algorithm.get("one_round"))
    if one_round or name == "newton":
        sums = {
            "class-means": "the features of each class",
            "newton": "the loss, its gradient and its curvature",
        }.get(name, "the products of features with each other and with the classes")
        return Words("adds up sums", "sums", "the head they give", "", sums, one_round)
    label, makes = ROBUST.get(name, ("averages", MEAN))
    averaged = f"the averaged {thing}" if name not in ROBUST else f"the {thing} it led to"
    return Words(f"{label} {thing}s", f"a {thing}", averaged, makes, "", one_round)
