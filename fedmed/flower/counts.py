"""Counts of a model's answers on the patients that hospitals held out: TN, FP, FN, TP."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def adds_up(counts: object, held_out: Sequence[int]) -> bool:
    """Tell whether a stranger's counts are such, of as many X-rays of each class as it said."""
    if not (isinstance(counts, list) and len(counts) == 4):
        return False
    if not all(type(n) is int and n >= 0 for n in counts):
        return False
    return [counts[0] + counts[1], counts[2] + counts[3]] == list(held_out)


def rates(evaluation: Mapping[str, Sequence[int]]) -> str:
    """Return recall and specificity at all hospitals together, in a sentence."""
    totals = [sum(each) for each in zip(*evaluation.values(), strict=True)]
    tn, fp, fn, tp = totals
    recall = tp / (tp + fn) if tp + fn else math.nan
    specificity = tn / (tn + fp) if tn + fp else math.nan
    return (
        f"On {sum(totals)} X-rays of patients held out at {len(evaluation)} hospitals: "
        f"recall {100 * recall:.1f} %, specificity {100 * specificity:.1f} %."
    )
