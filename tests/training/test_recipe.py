"""Which views a head is trained on, and how the classes are weighed."""

from __future__ import annotations

import json

import pytest

from benchmarks.recipes import candidates
from benchmarks.tables import NAMED, RESULTS
from fedmed.imaging.augmentation import CLEAN
from fedmed.training.recipe import AUTO, RECIPES, Recipe, pick_recipe


def test_auto_is_one_of_them_and_a_name_is_itself() -> None:
    assert pick_recipe("auto") is RECIPES[AUTO]
    assert pick_recipe("mission").name == "mission"


def test_auto_is_what_swapped_validation_preferred_when_it_was_measured() -> None:
    """On the whole: within half a point of the best for every model, of the recipes there are."""
    measured = json.loads((RESULTS / "recipes.json").read_text(encoding="utf-8"))

    def shifted(name: str, model: str, metric: str) -> float:
        views = measured["recipes"][name]
        return views[max(views, key=int)][model]["shifted"][metric]

    title = {recipe: title for title, recipe in NAMED.items()}
    assert set(title) == set(RECIPES)
    for model in measured["models"]:
        for metric in ("balanced_accuracy", "auc"):
            best = max(shifted(name, model, metric) for name in measured["recipes"])
            assert shifted(title[AUTO], model, metric) > best - 0.5
            assert (
                shifted(title[AUTO], model, metric) > shifted(title["mission"], model, metric) + 1
            )


def test_the_recipes_measured_are_those_there_are() -> None:
    by_name = {recipe.name: recipe for recipe in candidates()}
    for title, name in NAMED.items():
        assert by_name[title].views(4, 1) == RECIPES[name].views(4, 1)
        assert by_name[title].class_weights(1, 3) == RECIPES[name].class_weights(1, 3)


def test_the_missions_views_are_flips_and_rotations_alone() -> None:
    views = RECIPES["mission"].views(4, 42)
    assert [view.kind for view in views] == ["flip-rotate"] * 4
    assert len(set(views)) == 4


def test_robust_views_alternate_with_clean_ones() -> None:
    views = RECIPES["robust"].views(3, 42)
    assert views[::2] == [CLEAN] * 3
    assert [view.kind for view in views[1::2]] == ["degraded"] * 3
    assert len(set(views)) == 4


def test_kinds_of_views_take_turns() -> None:
    mixed = Recipe("mixed", ("degraded", "flip-rotate"), clean=True, balanced=False, description="")
    views = mixed.views(3, 1)
    assert [view.kind for view in views[1::2]] == ["degraded", "flip-rotate", "degraded"]
    assert len(set(views[1::2])) == 3
    assert views[::2] == [CLEAN] * 3


def test_another_seed_makes_other_views() -> None:
    for recipe in RECIPES.values():
        assert set(recipe.views(2, 1)) & set(recipe.views(2, 2)) <= {CLEAN}


def test_weighed_classes_count_the_same() -> None:
    weights = RECIPES["robust"].class_weights(100, 300)
    assert 100 * weights[0] == pytest.approx(300 * weights[1])
    assert 100 * weights[0] + 300 * weights[1] == pytest.approx(400)
    assert RECIPES["mission"].class_weights(100, 300) == (1.0, 1.0)
