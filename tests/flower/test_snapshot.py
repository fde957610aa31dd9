"""A federation between machines ends with a snapshot of what the coordinator has."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from fedmed.backbones.network_files import read
from fedmed.errors import UserError
from fedmed.flower.record import Record
from fedmed.flower.snapshot import write
from fedmed.inference.loading import open_folder
from fedmed.page import api
from fedmed.page.shown import draw
from fedmed.snapshot.reader import Snapshot
from tests.flower.test_networks import BACKBONE as OF_NETWORKS
from tests.flower.test_networks import premises, run, wire
from tests.support.image_sites import image_sites
from tests.support.machines import same
from tests.support.machines_report import BACKBONE, federation
from tests.support.snapshots import random_backbone


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("federation")
    record, state = federation(folder)
    return folder, record, state, write(folder, BACKBONE)


def test_it_holds_the_federated_head_and_the_backbone_and_no_other_model(ended):
    folder, _, state, place = ended
    snapshot = Snapshot.open(place)
    assert place == folder / "snapshot"
    assert snapshot.models == ["federated"]
    assert snapshot.backbone.sha256 == BACKBONE.sha256
    assert torch.equal(snapshot.head("federated")["fc.weight"], state.model["weight"])
    with pytest.raises(UserError, match="holds the federated model and nothing of the hospitals'"):
        _ = snapshot.report


def test_its_report_is_what_hospitals_counted_and_who_took_part(ended):
    _, record, state, place = ended
    report = Snapshot.open(place).machines_report
    scored = report["protocols"]["validation"]
    assert scored["models"]["federated"]["confusion_matrix"] == [[6, 3], [0, 12]]
    assert scored["hospitals"]["hospital_2"]["confusion_matrix"] == [[2, 1], [0, 4]]
    assert "auc" not in scored["models"]["federated"]
    assert report["federation"]["rounds"] == record.rounds
    assert [one["name"] for one in report["partition"]["hospitals"]] == [*record.hospitals]
    assert report["rounds"][1]["bytes_up"] == state.ledger.up[1]
    card = (place / "README.md").read_text()
    assert "Hospital 2" in card and "## Between machines" in card


def test_the_app_opens_it(ended):
    place = ended[3]
    shown = draw(open_folder(place, "folder snapshot", "a test"))
    assert "the model that three hospitals" in shown.header
    assert "On 21 X-rays of patients that 3 hospitals held out" in shown.report_tab
    assert "no hospital’s" in shown.about and "for lack" not in shown.about
    assert [*shown.predictions[0].labels] == ["federated"]
    chosen = SimpleNamespace(name="snapshot", label="folder snapshot")
    shelf = SimpleNamespace(
        named=lambda name: chosen, page=lambda name: shown, choices=[chosen], drawn=lambda c: shown
    )
    assert [*api.describe(shelf)["models"]] == ["federated"]


def test_hospitals_that_score_nothing_leave_a_snapshot_that_says_so(tmp_path):
    def silent(node, kind, message, answer):
        return {"hospital": answer["hospital"], "refusal": "no"} if kind == "evaluate" else answer

    federation(tmp_path, silent)
    place = write(tmp_path, BACKBONE)
    assert Snapshot.open(place).machines_report["protocols"] == {}
    shown = draw(open_folder(place, "folder snapshot", "a test"))
    assert "no counts that tell anything" in shown.report_tab


def test_a_federation_that_did_not_end_or_another_backbone_is_refused(tmp_path):
    with pytest.raises(UserError, match="no federation that ended"):
        write(tmp_path, BACKBONE)
    federation(tmp_path)
    with pytest.raises(UserError, match="was on the backbone with the sha256"):
        write(tmp_path, random_backbone(1))
    record = json.loads((tmp_path / "federation.json").read_text()) | {"finished": False}
    (tmp_path / "federation.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="no federation that ended"):
        write(tmp_path, BACKBONE)


@pytest.mark.parametrize("norm", ["average", "local"])
def test_of_networks_it_holds_the_network_where_there_is_one(norm, tmp_path):
    pixels = tmp_path / "pixels"
    pixels.mkdir()
    sites = image_sites(pixels, [8, 11])
    there = premises(sites, tmp_path / "homes")
    out = tmp_path / "out"
    run(wire(there), out, **{"rounds": 1, "batch-norm": norm})
    assert Record.load(out).finished
    place = write(out, OF_NETWORKS)
    if norm == "local":
        assert place is None
        return
    shown = draw(open_folder(place, "folder snapshot", "a test"))
    assert "the model that two hospitals" in shown.header
    kept = Snapshot.open(place).state("federated")
    network, _ = read(sorted(out.glob("federated_model*.safetensors")))
    assert same(kept, network)
