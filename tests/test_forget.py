"""A hospital is forgotten: from a snapshot that keeps its sums to one that it had no part in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import train
from fedmed import forget
from fedmed.errors import UserError
from fedmed.experiment.settings import Settings
from fedmed.snapshot.manifest import SUMS
from fedmed.snapshot.publish import publish
from fedmed.snapshot.reader import Snapshot

pytestmark = pytest.mark.slow


def test_a_forgotten_hospital_was_never_there(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    keeping = replace(settings, algorithm="class-means", keep_sums=True, examples=0, views=1)
    assert train.run(keeping) == 0
    folder = keeping.output
    before = Snapshot.open(folder)
    heads_before, report_before = before.heads(), before.report  # read before it is replaced
    assert forget.main([str(folder), "hospital_4", "--data", settings.data]) == 2
    assert "choose from hospital_1, hospital_2, hospital_3" in capsys.readouterr().err
    assert forget.main([str(folder), "hospital_1"]) == 2
    assert "say where they are with --data" in capsys.readouterr().err
    with pytest.raises(UserError, match="not to be published"):
        publish(folder, "somebody/something")
    assert forget.main([str(folder), "hospital_2", "--data", settings.data]) == 0
    assert "is without hospital_2" in capsys.readouterr().out
    after = Snapshot.open(folder)
    assert after.models == ["central", "federated", "hospital_1", "hospital_2"]
    assert not torch.equal(after.heads().weight[1], heads_before.weight[1])
    # Those behind it moved up by a number; what a hospital's own sums make is as it was.
    own = [entry["training"] for entry in after.config["models"].values()][2:]
    stored = [entry["training"] for entry in before.config["models"].values()]
    assert own == [stored[2], stored[4]]
    report = after.report
    assert report["federation"]["forgotten"] == ["hospital_2"]
    images = report_before["data"]["training"]["images"]["NORMAL"] - stored[3]["NORMAL"]
    assert report["data"]["training"]["images"]["NORMAL"] == images
    # Again: the X-rays of who was forgotten before are left out by themselves.
    assert forget.main([str(folder), "hospital_2", "--data", settings.data]) == 0
    assert Snapshot.open(folder).report["federation"]["forgotten"] == ["hospital_2", "hospital_2"]
    assert (folder / SUMS).is_file()
    assert not folder.with_name("snapshot.forget.partial").exists()
