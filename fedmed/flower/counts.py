"""Counts of a model's answers on the patients that hospitals held out: TN, FP, FN, TP."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

MOST = 10_000_000  # that a hospital may say it counted


def adds_up(counts: object, held_out: Sequence[int]) -> bool:
    """Tell whether a stranger's counts are such, of as many X-rays of each class as it said."""
    if not (isinstance(counts, list) and len(counts) == 4):
        return False
    if not all(type(n) is int and n >= 0 for n in counts):
        return False
    return [counts[0] + counts[1], counts[2] + counts[3]] == list(held_out)


def are_noisy(counts: object) -> bool:
    """Tell whether a stranger's counts may be such with noise: whole numbers, nought or below too.

    What they are of was not told, so that nothing else can be asked of them.
    """
    if not (isinstance(counts, list) and len(counts) == 4):
        return False
    return all(type(n) is int and abs(n) <= MOST for n in counts)


def rates(evaluation: Mapping[str, Sequence[int]], *, noisy: bool = False) -> str:
    """Return recall and specificity at all hospitals together, in a sentence."""
    totals = [max(0, sum(each)) for each in zip(*evaluation.values(), strict=True)]
    tn, fp, fn, tp = totals
    recall = tp / (tp + fn) if tp + fn else math.nan
    specificity = tn / (tn + fp) if tn + fp else math.nan
    of = f"about {sum(totals)} patients" if noisy else f"{sum(totals)} X-rays of patients"
    return (
        f"On {of} held out at {len(evaluation)} hospitals{', counted with noise' * noisy}: "
        f"recall {100 * recall:.1f} %, specificity {100 * specificity:.1f} %."
    )
