"""Sentences under the closing table: what joining was worth, and who leans on framing."""

from __future__ import annotations

from typing import Any

from fedmed.report.highlights import is_hospital, shown

Fields = dict[str, Any]


def joining_words(report: Fields) -> str:
    """What each shown hospital reaches alone, against the federated model, on validation."""
    alone = report["local_only"]["validation"]
    federated = report["protocols"]["validation"]["models"]["federated"]
    told = ", ".join(f"{name} {_percent(alone[name])}" for name in shown(alone))
    return (
        f"What joining is worth (balanced accuracy, validation): federated {_percent(federated)}; "
        f"alone, trained as long: {told}"
    )


def shifted_words(shifted: Fields) -> str:
    """How the models do where what tells the classes apart by framing is swapped."""

    def told(name: str, models: list[Fields]) -> str:
        figures = []
        for key in ("balanced_accuracy", "auc"):
            values = [100 * model[key]["value"] for model in models]
            ends = dict.fromkeys(f"{end:.1f}" for end in (min(values), max(values)))
            figures.append(" to ".join(ends))
        return f"{name} {' / '.join(figures)}"

    models = shifted["models"]
    hospitals = [scores for name, scores in models.items() if is_hospital(name)]
    groups = {name: [models[name]] for name in ("central", "federated")} | {"hospitals": hospitals}
    figures = ", ".join(told(name, group) for name, group in groups.items())
    return f"Balanced accuracy / AUC with framing swapped between the classes: {figures}"


def _percent(metrics: Fields) -> str:
    return f"{100 * metrics['balanced_accuracy']['value']:.1f}"
