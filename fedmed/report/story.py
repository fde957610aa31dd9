"""What a report says of joining, in one sentence that can be held against another report's."""

from __future__ import annotations

from fedmed.evaluation.intervals import difference
from fedmed.report.phrases import in_percent, lowest_and_highest, scored_on, some_of
from fedmed.report.schema import Report

WELL = 0.85  # balanced accuracy, of which a hospital alone may be said to do well


def story(report: Report) -> str:
    """Whether sharing lifts the hospitals, and if not, whether there was anything to share.

    Nothing shows to be there to share where not even all images in one place are shown to help a
    hospital. Counted like the claim `joining`: by 95 % intervals of differences in balanced
    accuracy on the official test.
    """
    models = report["protocols"]["test"]["models"]
    alone = {name: s["balanced_accuracy"] for name, s in report["local_only"]["test"].items()}
    if not alone:
        return ""
    federated, central = (models[name]["balanced_accuracy"] for name in ("federated", "central"))
    gains = [difference(federated, interval) for interval in alone.values()]
    lifted = sum(gain["low"] > 0 for gain in gains)
    hurt = sum(gain["high"] < 0 for gain in gains)
    pooling_lifts = sum(difference(central, interval)["low"] > 0 for interval in alone.values())
    if lifted and hurt:
        told = f"sharing lifts {some_of(lifted, len(alone))} and hurts {hurt:,}"
    elif lifted:
        told = f"sharing lifts {some_of(lifted, len(alone))}"
    elif hurt:
        told = f"sharing hurts {some_of(hurt, len(alone))}"
    elif pooling_lifts:
        told = "sharing is not shown to lift a hospital, though pooling all images is"
    elif min(interval["value"] for interval in alone.values()) >= WELL:
        told = "each hospital alone does well enough that there is little to share"
    else:
        told = "neither sharing nor pooling all images is shown to lift a hospital"
    worst, best = lowest_and_highest(alone)
    return (
        f"{told} (balanced accuracy on {scored_on(report, 'test')}: {in_percent(federated)} "
        f"federated, {in_percent(alone[worst])} to {in_percent(alone[best])} alone, "
        f"{in_percent(central)} with all images in one place)."
    )
