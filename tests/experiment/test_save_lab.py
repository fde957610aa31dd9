"""What --lab puts into a snapshot, and what is said of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from fedmed.experiment.save import write_lab
from fedmed.experiment.settings import parse
from fedmed.privacy.rows import Space
from fedmed.snapshot import lab_features
from tests.support.lab import WIDTH, drawn_features, drawn_xrays


def prepared(*, simulated=False, public=False, space=True):
    ours, theirs = drawn_xrays(30, "ours"), drawn_xrays(12, "theirs")
    return SimpleNamespace(
        cohort=SimpleNamespace(
            simulated=simulated, public=public, about={"title": "Films", "licence": "ours"}
        ),
        space=Space(torch.ones(WIDTH, dtype=torch.float64), 2.0) if space else None,
        views=["first", "first", "second", "third"],
        features=SimpleNamespace(view=lambda view: drawn_features(ours, len(view))),
        training=ours,
        held_out=theirs,
        validation=SimpleNamespace(features=drawn_features(theirs, 9)),
        backbone=SimpleNamespace(origin={"id": "drawn"}, sha256="0" * 64),
    )


def test_two_different_views_the_space_and_whose_backbone_are_kept(tmp_path):
    write_lab(prepared(public=True), tmp_path)
    stored = lab_features.read(tmp_path, backbone="0" * 64)
    assert stored.views.shape == (2, 30, WIDTH) and stored.features.shape == (12, WIDTH)
    assert not torch.equal(*stored.views)
    assert stored.radius == 2.0 and stored.centre.eq(1).all()


@pytest.mark.parametrize(
    ("whose", "is_warned"), [({}, True), ({"public": True}, False), ({"simulated": True}, False)]
)
def test_features_of_somebody_are_warned_about(tmp_path, capsys, whose, is_warned):
    write_lab(prepared(**whose), tmp_path)
    assert ("features are data" in capsys.readouterr().out) == is_warned


def test_a_run_prepared_without_it_has_none(tmp_path):
    with pytest.raises(ValueError, match="without --lab"):
        write_lab(prepared(space=False), tmp_path)
    assert not list(tmp_path.iterdir())


def test_networks_have_no_frozen_features(capsys):
    with pytest.raises(SystemExit):
        parse(["--train=network", "--lab"])
    assert "--lab needs --train head" in capsys.readouterr().err
