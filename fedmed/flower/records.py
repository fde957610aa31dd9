"""A message as Flower's records: small values in one, what is long in another.

Flower sends a record of values in one request, and of arrays 5 MB in each: over a slow line a
request of a whole network would take longer than its signature holds, and begin anew after a fault.
"""

from __future__ import annotations

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedmed.flower.terms import Content

RECORD, LONG = "fedmed", "fedmed-long"
LONG_BYTES = 4 * 2**20  # from which on bytes are an array, which takes some 600 more


def pack(content: Content) -> RecordDict:
    """Return a message's records."""
    long = {
        name: value
        for name, value in content.items()
        if isinstance(value, bytes) and len(value) >= LONG_BYTES
    }
    records = RecordDict(
        {RECORD: ConfigRecord({n: value for n, value in content.items() if n not in long})}
    )
    if long:
        records[LONG] = ArrayRecord(
            {name: Array("uint8", (len(value),), "bytes", value) for name, value in long.items()}
        )
    return records


def unpack(records: RecordDict) -> Content | None:
    """Return what `pack` was given; None where there is no record of ours. Nothing is unpickled."""
    values = records.config_records.get(RECORD)
    if values is None:
        return None
    long = records.array_records.get(LONG, {})
    return dict(values) | {name: bytes(array.data) for name, array in long.items()}
