"""Many files in trouble, told in one line for each kind of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NAMED = 3  # files that a line names; the others are counted


def named(names: Sequence[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def by_kind(problems: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each kind of problem, from (file, problem) pairs; the most frequent first."""
    kinds: dict[str, list[str]] = {}
    for name, problem in problems:
        kinds.setdefault(problem.rstrip("."), []).append(name)
    order = sorted(kinds, key=lambda problem: (-len(kinds[problem]), problem))
    return [
        (f"{len(kinds[problem]):,} files: " if len(kinds[problem]) > 1 else "")
        + f"{named(sorted(kinds[problem]))}: {problem}"
        for problem in order
    ]
