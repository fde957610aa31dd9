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
RECIPES = ("mission", "robust")
BACKBONES = ("imagenet", "bundled", "torchvision")
