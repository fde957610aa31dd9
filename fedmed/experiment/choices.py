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
PRIVATE = ("fedavg",)  # that can be made private to patients
# Of which a mean is not enough for the server, so that nothing may hide the rest.
NEED_UPDATES = ("median", "trimmed-mean", "krum")
SECURE_HOSPITALS = (3, 200)  # among which secure aggregation hides something, in bearable time
RECIPES = ("mission", "robust")
BACKBONES = ("imagenet", "bundled", "torchvision")
