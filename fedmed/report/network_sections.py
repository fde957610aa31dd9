"""What the report of a run that trained networks says of the federation and of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedmed.federated.ledger import Ledger, summary


def communication(
    ledgers: Mapping[str, Ledger],
    sent: str,
    sizes: Mapping[str, tuple[int, int]],
    whole_model: int,
    metrics: Mapping[str, Mapping[str, Any]],
    titles: Mapping[str, str],
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
        titles,
    )
    for format, entry in formats.items():
        entry["measured"] = format in ledgers
        if format in metrics:
            entry["metrics"] = dict(metrics[format])
    return {
        "sent": sent,
        "rounds": len(own.up),
        "hospitals": len(own.up[0]),
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
