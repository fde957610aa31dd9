"""What a run read and its snapshot does not hold has to be said anew."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedmed.cli import Elsewhere
from fedmed.errors import UserError
from fedmed.experiment.again import settings_of
from fedmed.experiment.settings import Settings, parse


def snapshot(*options: str, whole: bool = False) -> Any:
    recipe = parse([f"--train={'network' if whole else 'head'}", *options]).of_the_run()
    return SimpleNamespace(folder=Path("mine"), whole=whole, report={"recipe": recipe})


def again(of: Any, **elsewhere: str) -> Settings:
    return settings_of(of, Elsewhere(**elsewhere), aside="study", resume=False, networks=True)


@pytest.mark.parametrize(
    ("options", "whole", "lacks", "elsewhere"),
    [
        (["--data=x-rays"], False, "--data DIR", {"data": "here"}),
        (["--patients=of/whom.csv"], False, "whom.csv.*--patients CSV", {"patients": "my.csv"}),
        (["--backbone=own.pth"], True, "own.pth.*--backbone PATH", {"backbone": "my.pth"}),
    ],
)
def test_what_is_not_there_is_asked_for_and_taken(
    options: list[str], whole: bool, lacks: str, elsewhere: dict[str, str]
) -> None:
    of = snapshot(*options, whole=whole)
    with pytest.raises(UserError, match=lacks):
        again(of)
    found = again(of, **elsewhere)
    for name, place in elsewhere.items():
        assert getattr(found, name) == place


def test_heads_have_their_backbone_in_the_snapshot_and_a_pattern_needs_no_table() -> None:
    found = again(snapshot("--backbone=own.pth", "--patients=p(.+)_"))
    assert found.backbone == "mine" and found.patients == "p(.+)_"
    assert found.output == Path("mine.study")


@pytest.mark.parametrize("elsewhere", [{"patients": "my.csv"}, {"backbone": "my.pth"}])
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_there_is_not_said_again(whole: bool, elsewhere: dict[str, str]) -> None:
    with pytest.raises(UserError, match=f"--{next(iter(elsewhere))}: mine was not trained on"):
        again(snapshot(whole=whole), **elsewhere)


def test_networks_are_refused_where_heads_are_asked_for() -> None:
    with pytest.raises(UserError, match="snapshot of --train head"):
        settings_of(snapshot(whole=True), Elsewhere(), aside="lab", resume=False)
