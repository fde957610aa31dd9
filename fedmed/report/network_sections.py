"""What the report of a run that trained networks says of the federation and of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedmed.federated.ledger import Ledger, summary


def communication(
    ledger: Ledger,
    sent: str,
    sizes: Mapping[str, tuple[int, int]],
    whole_model: int,
    metrics: Mapping[str, Any],
    titles: Mapping[str, str],
) -> dict[str, Any]:
    """Bytes of every update format; the federation ran in one, `sent`, whose model has `metrics`.

    `sizes` are the bytes of a message up and one down in each of the formats that it did not run
    in, counted on encoded messages: training anew in each would take as long again.
    """
    ledgers = {
        format: ledger if format == sent else ledger.in_sizes(*sizes[format])
        for format in ("fp32", "fp16", "int8")
    }
    formats = summary(ledgers, whole_model, titles)
    for format, entry in formats.items():
        entry["measured"] = format == sent
    formats[sent]["metrics"] = dict(metrics)
    return {
        "sent": sent,
        "rounds": len(ledger.up),
        "hospitals": len(ledger.up[0]),
        "formats": formats,
    }


def rounds(ledger: Ledger, validation: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The federated network after each round on validation, and the bytes of that round."""
    return [
        {"round": number, "validation": metrics, "bytes_up": up, "bytes_down": down}
        for number, (metrics, up, down) in enumerate(
            zip(validation, ledger.up, ledger.down, strict=True), start=1
        )
    ]
