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
# Of these, those whose every round needs every hospital, those that cannot train networks, and
# those that tell one hospital by the others.
NEED_EVERYONE = ("class-means", "ridge", "lda", "newton")
NEED_FEATURES = ("scaffold", *NEED_EVERYONE)  # scaffold for the length of its steps
NEED_THREE = ("median", "trimmed-mean", "krum")
RECIPES = ("mission", "robust")
BACKBONES = ("imagenet", "bundled", "torchvision")
