"""Recipes: which views a head is trained on, and how the classes are weighed."""

from __future__ import annotations

from dataclasses import dataclass

from fedmed.backbones.backbone import Backbone
from fedmed.errors import UserError
from fedmed.imaging.augmentation import CLEAN, View


@dataclass(frozen=True)
class Recipe:
    """What training does to images and classes; inference always sees the clean view."""

    name: str
    degraded: bool
    balanced: bool
    description: str

    def views(self, count: int, seed: int) -> list[View]:
        """The views that training rotates through; `count` of them are augmented."""
        if not self.degraded:
            return [View("flip-rotate", number, seed) for number in range(count)]
        return [v for number in range(count) for v in (CLEAN, View("degraded", number, seed))]

    def class_weights(self, normal: int, pneumonia: int) -> tuple[float, float]:
        """Loss weights from the class counts that all hospitals report together."""
        if not self.balanced:
            return (1.0, 1.0)
        total = normal + pneumonia
        return (total / (2 * normal), total / (2 * pneumonia))


RECIPES = {
    "mission": Recipe(
        "mission",
        degraded=False,
        balanced=False,
        description="augmented by horizontal flip and rotation within 10 degrees",
    ),
    "robust": Recipe(
        "robust",
        degraded=True,
        balanced=True,
        description=(
            "clean views alternating with degraded ones (flip, rotation, scale, shift, blur, "
            "gamma, contrast, brightness, noise, covered corners); classes weigh the same"
        ),
    ),
}


def pick_recipe(name: str, backbone: Backbone) -> Recipe:
    """The named recipe; `auto` is the one the backbone was made for, else the mission's.

    Raises:
        UserError: the backbone was made for one that this version does not know.
    """
    if name == "auto":
        name = str(backbone.origin.get("recipe", "mission"))
    if name not in RECIPES:
        raise UserError(
            f"The backbone was made for a recipe '{name}' that this version of FedMed does not "
            f"know: choose with --recipe from {', '.join(RECIPES)}."
        )
    return RECIPES[name]
