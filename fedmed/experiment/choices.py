"""The names that options choose from, told without loading what they name.

A command that prints its help, or refuses a mistake, should not wait for torch. Tests hold these to
the tables of the algorithms, recipes and backbones themselves.
"""

from __future__ import annotations

ALGORITHMS = (
    "fedavg",
    "fedprox",
    "scaffold",
    "fedavgm",
    "fedadam",
    "fedyogi",
    "median",
    "trimmed-mean",
    "krum",
    "class-means",
    "ridge",
    "lda",
    "newton",
)
CLOSED_FORMS = ("class-means", "ridge", "lda")
MOST_KEPT = 100  # hospitals whose sums fit into one file of a snapshot
# That cannot be made private to patients: closed forms but class means, and fedprox, whose pull and
# steps as long as noise needs would throw hospitals to and fro.
NOT_PRIVATE = ("fedprox", "ridge", "lda", "newton")
PRIVATE = tuple(name for name in ALGORITHMS if name not in NOT_PRIVATE)
SECURE_HOSPITALS = (3, 200)  # among which secure aggregation hides something, in bearable time
# Of these, those whose every round needs every hospital, those that cannot train networks, and
# those that tell one hospital by the others.
NEED_EVERYONE = ("class-means", "ridge", "lda", "newton")
NEED_FEATURES = ("scaffold", *NEED_EVERYONE)  # scaffold for the length of its steps
NEED_THREE = ("median", "trimmed-mean", "krum")
PERSONAL = ("finetune", "ditto")
RECIPES = ("mission", "robust")
BACKBONES = ("imagenet", "bundled", "torchvision")
