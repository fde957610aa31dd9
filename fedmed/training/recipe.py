"""Recipes: which views a head is trained on, and how the classes are weighed."""

from __future__ import annotations

from dataclasses import dataclass

from fedmed.imaging.augmentation import CLEAN, Kind, View


@dataclass(frozen=True)
class Recipe:
    """What training does to images and classes; inference always sees the clean view."""

    name: str
    augmented: tuple[Kind, ...]  # kinds of view, in turns
    clean: bool  # whether the clean view comes before every augmented one
    balanced: bool  # whether both classes weigh the same
    description: str

    def views(self, count: int, seed: int) -> list[View]:
        """The views that training rotates through; `count` of them are augmented."""
        kinds = len(self.augmented)
        augmented = [
            View(self.augmented[place % kinds], place // kinds, seed) for place in range(count)
        ]
        return [v for view in augmented for v in (CLEAN, view)] if self.clean else augmented

    def class_weights(self, normal: int, pneumonia: int) -> tuple[float, float]:
        """Loss weights from the class counts that all hospitals report together."""
        if not self.balanced:
            return (1.0, 1.0)
        total = normal + pneumonia
        return (total / (2 * normal), total / (2 * pneumonia))


RECIPES = {
    "mission": Recipe(
        "mission",
        augmented=("flip-rotate",),
        clean=False,
        balanced=False,
        description="augmented by horizontal flip and rotation within 10 degrees",
    ),
    "robust": Recipe(
        "robust",
        augmented=("degraded",),
        clean=True,
        balanced=True,
        description=(
            "clean views alternating with degraded ones (flip, rotation, cut closer or shrunk, "
            "shift, blur, gamma, contrast, brightness, noise, covered corners); classes weigh the "
            "same"
        ),
    ),
}
# What swapped validation prefers on ImageNet features, central and federated
# (benchmarks/results/recipes.json).
AUTO = "robust"


def pick_recipe(name: str) -> Recipe:
    """The named recipe; `auto` is AUTO."""
    return RECIPES[AUTO if name == "auto" else name]
