"""Everything that may leave a hospital, named in one place; `hospital.answer` sends nothing else.

Flower itself sends, beside this, what it needs to carry messages: who the node is (a number and its
public key), when it is there, and that a process failed.
"""

from __future__ import annotations

# For every answer, its fields, and each in plain words.
ANSWERS: dict[str, dict[str, str]] = {
    "join": {
        "hospital": "the name the hospital gave itself",
        "images": "how many X-rays it trains on, NORMAL and PNEUMONIA",
        "patients": "how many patients these are of",
        "held_out": "how many X-rays of other patients it keeps to score on, of each class",
        "simulated": "whether its X-rays are simulated",
    },
    "train": {
        "hospital": "the name the hospital gave itself",
        "round": "the number of the round",
        "update": "what its training changed: the named tensors of the algorithm's message",
    },
    "evaluate": {
        "hospital": "the name the hospital gave itself",
        "counts": "of the X-rays held out, how many the model called right and wrong: TN, FP, FN, "
        "TP",
    },
    "refusal": {
        "hospital": "the name the hospital gave itself",
        "refusal": "what the two sides do not agree on, or only that something went wrong",
    },
}
NEVER = "No X-ray, feature, label of a single X-ray, file name or patient leaves."
