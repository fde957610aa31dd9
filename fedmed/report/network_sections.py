"""What the report of a run that trained networks says of the federation and of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedmed.evaluation.intervals import percent
from fedmed.federated.ledger import Ledger, summary, titles
from fedmed.report.schema import Format


def communication(
    ledgers: Mapping[str, Ledger],
    sent: str,
    sizes: Mapping[str, tuple[int, int]],
    whole_model: int,
    metrics: Mapping[str, Mapping[str, Any]],
    called: Mapping[str, str],
) -> dict[str, Any]:
    """Bytes of every update format, and what the federated network scores in some of them.

    `ledgers` and `metrics` are of the formats that the federation ran in, `sent` among them; of the
    others are `sizes`, the bytes of a message up and one down, counted on encoded messages.
    """
    own = ledgers[sent]
    formats = summary(
        {
            format: ledgers[format] if format in ledgers else own.in_sizes(*sizes[format])
            for format in ("fp32", "fp16", "int8")
        },
        whole_model,
        called,
    )
    for format, entry in formats.items():
        entry["measured"] = format in ledgers
        if format in metrics:
            entry["metrics"] = dict(metrics[format])
    return {
        "sent": sent,
        "rounds": len(own.up),
        "hospitals": own.hospitals,
        "formats": formats,
    }


def told_of_formats(formats: Mapping[str, Format]) -> list[str]:
    """Return a line for each format that the federation ran in: its bytes, and its scores."""
    return [
        f"{sent['title']}: {sent['update_bytes']:,} bytes an update; balanced accuracy "
        + ", ".join(
            f"{percent(scores['balanced_accuracy'])} on {split}"  # type: ignore[index]
            for split, scores in sent["metrics"].items()
        )
        for sent in formats.values()
        if "metrics" in sent
    ]


def titles_of(sends: str) -> dict[str, str]:
    """What messages are called, by format, of an algorithm that `sends` so of heads."""
    return titles(sends.replace("Head", "Network"))


def rounds(ledger: Ledger, validation: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The federated network after each round on validation, and the bytes of that round."""
    return [
        {"round": number, "validation": metrics, "bytes_up": up, "bytes_down": down}
        for number, (metrics, up, down) in enumerate(
            zip(validation, ledger.up, ledger.down, strict=True), start=1
        )
    ]
