"""Everything that may leave a hospital, named in one place; `hospital.answer` sends nothing else.

Flower itself sends, beside this, what it needs to carry messages: who the node is (a number and its
public key), when it is there, and that a process failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedmed.federated.messages import Layout

WIDTH = 512  # of a frozen backbone's features

# For every answer, its fields, and each in plain words.
ANSWERS: dict[str, dict[str, str]] = {
    "join": {
        "hospital": "the name the hospital gave itself",
        "images": "how many X-rays it trains on, NORMAL and PNEUMONIA; with an epsilon, nothing",
        "patients": "how many patients these are of",
        "held_out": "how many X-rays of other patients it keeps to score on, of each class; with "
        "an epsilon, nothing",
        "simulated": "whether its X-rays are simulated",
    },
    "keys": {
        "hospital": "the name the hospital gave itself",
        "public_key": "the public half of a key drawn for this run, 32 bytes",
    },
    "train": {
        "hospital": "the name the hospital gave itself",
        "round": "the number of the round",
        "update": "what its training changed: the named tensors of the algorithm's message",
    },
    "evaluate": {
        "hospital": "the name the hospital gave itself",
        "counts": "of the X-rays held out, how many the model called right and wrong: TN, FP, FN, "
        "TP; with an epsilon, of the patients held out, with noise",
    },
    "refusal": {
        "hospital": "the name the hospital gave itself",
        "refusal": "what the two sides do not agree on, or only that something went wrong",
    },
}
TITLES = {
    "join": "When it joins",
    "keys": "Before its first round with secure aggregation",
    "train": "In a round",
    "evaluate": "When a model is scored",
    "refusal": "Where it does not do what was asked",
}
NEVER = "No X-ray, feature, label of a single X-ray, file name or patient leaves."


PROTECTED = {
    "With an epsilon (the coordinator's --epsilon; --max-epsilon here refuses less)": (
        "noise is added to every sum over patients before anything else is made of it: all updates "
        "of a run together keep the epsilon and delta of its terms for each patient trained on; "
        "class-means sends {private}. The four counts when a model is scored are of patients, each "
        "in one of them, with Gaussian noise of standard deviation {deviations} on each, rounded: "
        "for each patient held out they keep the same epsilon and delta. Patients held out are "
        "never trained on, so that no patient's epsilon is spent twice. The noise is drawn once; "
        "of a run one model is scored and no other. How many patients are trained on has no noise"
    ),
    "With secure aggregation (the coordinator's --secure-aggregation)": (
        "every number of an update is a whole number of 64 bits behind masks, noise to whoever "
        "does not have those of all hospitals of the round; the sum of all is what the coordinator "
        "gets to know"
    ),
}


def words() -> str:
    """All of it, for whoever has to allow it."""
    lines = ["What leaves this hospital, to the coordinator's server alone and encrypted:", ""]
    for kind, fields in ANSWERS.items():
        lines.append(f"{TITLES[kind]}:")
        lines += [f"  {name}: {what}" for name, what in fields.items()]
        lines.append("")
    lines += ["What an update is made of, by algorithm:"]
    lines += [f"  {name}: {what}" for name, what in updates().items()]
    lines += [
        f"Where whole networks are trained (--train network), in place of a head: {network()}"
    ]
    for when, what in PROTECTED.items():
        lines += ["", f"{when}:", f"  {what.format(**_figures())}"]
    return "\n".join([*lines, "", NEVER])


def network() -> str:
    """What an update of a whole network holds."""
    import torch

    from fedmed.training.network import Classifier, trained_state

    with torch.device("meta"):
        state = trained_state(Classifier())
    numbers = sum(tensor.numel() for tensor in state.values())
    return (
        f"every tensor of a ResNet18 and its head, {len(state)} with {numbers:,} numbers; those of "
        "batch normalisation, among them means and variances over the X-rays, only where the "
        "coordinator chose --batch-norm average"
    )


def _figures() -> dict[str, str]:
    """What is computed of what PROTECTED tells."""
    from fedmed.flower.budget import DELTA
    from fedmed.privacy.private_counts import deviation

    deviations = ", ".join(
        f"{deviation(epsilon, DELTA):.2g} at epsilon {epsilon:g}" for epsilon in (1.0, 3.0, 8.0)
    )
    return {"private": private_class_means(), "deviations": f"{deviations} (delta {DELTA:g})"}


def private_class_means() -> str:
    """What class-means' update holds where noise is added to it."""
    from fedmed.privacy.private_means import PrivateClassMeans

    return _parts(PrivateClassMeans().layout(WIDTH))


def updates() -> dict[str, str]:
    """What each algorithm's update holds, from the layout that the server accepts and no other."""
    import torch

    from fedmed.federated.algorithms import ALGORITHMS
    from fedmed.training.heads import new_heads
    from fedmed.training.tensors import pick

    model = pick(new_heads(1, WIDTH).tensors(), 0)
    told = {}
    for name, kind in ALGORITHMS.items():
        algorithm = kind()
        server, _ = algorithm.init(model, torch.ones(3, dtype=torch.int64))
        layout = algorithm.expected(server)
        told[name] = f"{algorithm.sends.lower()}: {_parts(layout)}"
    return told


def _parts(layout: Layout) -> str:
    return ", ".join(f"{tensor} {word} {shape}" for tensor, (word, shape) in layout.items())
