"""From X-rays to a snapshot of whole networks: one small run, broken off and gone on with."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest

import train
from benchmarks import seeds
from fedmed import study
from fedmed.evaluation import evaluation_set, shifted
from fedmed.evaluation.metrics import evaluate
from fedmed.experiment import reference
from fedmed.experiment.settings import Settings
from fedmed.federated.ledger import Ledger
from fedmed.federated.transforms import FORMATS
from fedmed.report import document
from fedmed.snapshot.reader import Snapshot
from fedmed.training import network_trainer
from tests.support.films import write_films
from tests.support.runs import tensors

PATIENTS, TEST = 12, 4  # of each class
MODELS = ["central", "federated", "hospital_1", "hospital_2"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    place = tmp_path_factory.mktemp("networks")
    return Settings(
        train="network",
        data=str(write_films(place / "clinic", PATIENTS, TEST)),
        backbone="imagenet",
        output=place / "snapshot",
        hospitals=2,
        rounds=2,
        local_epochs=1,
        epochs=2,
        batch_size=16,
        learning_rate=3e-4,
        quantize="int8",
        size=64,
        workers=2,
        examples=2,
        audit=True,
        study=True,
    )


@pytest.fixture(scope="module")
def hasty() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        for module in (evaluation_set, shifted):
            patch.setattr(module, "evaluate", functools.partial(evaluate, resamples=20))
        patch.setattr(reference, "MOST", 2)  # radiographs that are simulated
        yield patch


@pytest.fixture(scope="module")
def folder(settings: Settings, hasty: pytest.MonkeyPatch) -> Path:
    """The snapshot of the whole run. Read only."""
    assert train.run(settings) == 0
    return settings.output


def test_the_snapshot_opens_and_holds_whole_networks(folder: Path) -> None:
    opened = Snapshot.open(folder)
    assert opened.models == MODELS
    assert opened.config["networks"]["size"] == 64
    assert not list(folder.glob("backbone*"))
    assert len(list(opened.groups)) == 4
    assert max(path.stat().st_size for path in folder.rglob("*")) < 9e6


def test_an_attack_tells_of_every_network_and_of_patients_it_never_saw(folder: Path) -> None:
    report = Snapshot.open(folder).report
    found = report["privacy"]["audit"]["membership"]["models"]
    assert list(found) == MODELS
    everybody = report["data"]["training"]["patients"]
    assert found["central"]["members"] == found["federated"]["members"] == everybody
    assert sum(found[site]["members"] for site in MODELS[2:]) == everybody
    assert {found[name]["others"] for name in MODELS} == {report["data"]["held_out"]["patients"]}
    assert all("control" in found[site] for site in MODELS[2:])


def test_the_report_holds_and_tells_of_networks(folder: Path) -> None:
    report = Snapshot.open(folder).report
    document.validate(report)
    assert report["training"]["mode"] == "network"
    assert report["protocols"]["test"]["n"] == 2 * TEST
    for name in ("validation", "shifted", "test"):
        models = report["protocols"][name]["models"]
        assert list(models) == MODELS
        alone = report["local_only"][name]
        assert all(alone[site]["auc"] == models[site]["auc"] for site in MODELS[2:])
    assert set(report["own_after_last_round"]["test"]) == set(MODELS[2:])
    assert [one["round"] for one in report["rounds"]] == [1, 2]
    assert report["environment"]["peak_memory_gib"] > 0.5


def test_bytes_are_those_of_networks_in_every_format(folder: Path) -> None:
    report = Snapshot.open(folder).report
    formats = report["communication"]["formats"]
    sizes = {name: entry["update_bytes"] for name, entry in formats.items()}
    # Trained in every format; the network that ships is the one whose updates were sent in INT8.
    assert [name for name, entry in formats.items() if entry["measured"]] == [*FORMATS]
    scores = {name: formats[name]["metrics"]["test"]["auc"] for name in FORMATS}
    assert scores["int8"] == report["protocols"]["test"]["models"]["federated"]["auc"]
    assert formats["int8"]["title"] == "Network, INT8"
    assert sizes["fp32"] == pytest.approx(sizes["full_fp32"], rel=1e-3)
    assert sizes["fp16"] == pytest.approx(sizes["full_fp32"] / 2, rel=0.01)
    assert sizes["int8"] == pytest.approx(sizes["full_fp32"] / 4, rel=0.02)
    sent = [size for one in report["rounds"] for size in one["bytes_up"].values()]
    assert set(sent) == {sizes["int8"]}
    assert formats["int8"]["run_bytes"] == sum(
        size for one in report["rounds"] for way in ("bytes_up", "bytes_down")
        for size in one[way].values()
    )  # fmt: skip


def test_broken_off_and_gone_on_with_it_ends_with_the_same_bits(
    folder: Path, settings: Settings, hasty: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A study changes nothing of the networks that ship.
    again = replace(settings, output=settings.output.with_name("again"), workers=1, study=False)
    trained: list[str] = []
    submit = network_trainer.NetworkTrainer.submit

    def until(self, site, *arguments, **named):
        if len(trained) == 6:
            raise KeyboardInterrupt
        future = submit(self, site, *arguments, **named)
        if future is not None:
            trained.append(f"{self.chain} {site.name}")
        return future

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_trainer.NetworkTrainer, "submit", until)
        assert train.run(again) == 130
    kept = {path.name for path in (again.partial / "networks").glob("*-*-*.safetensors")}
    assert kept and "with --resume goes on from here" in capsys.readouterr().err
    assert train.run(replace(again, resume=True)) == 0
    assert f"{len(kept)} trainings" in capsys.readouterr().out
    assert tensors(again.output) == tensors(folder)
    assert not again.partial.exists()


def test_a_study_of_a_finished_run_measures_what_it_had_only_counted(
    folder: Path, settings: Settings, hasty: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    again = settings.output.with_name("again")
    before = Snapshot.open(again).report
    assert study.main([str(again), "--data", settings.data]) == 0
    said, after = capsys.readouterr().out, Snapshot.open(again).report
    everything = Snapshot.open(folder).report["communication"]
    assert after["communication"] == everything, "as if the run had made the study itself"
    assert before["communication"]["formats"]["fp16"]["measured"] is False
    assert f"Network, FP16: {everything['formats']['fp16']['update_bytes']:,} bytes" in said
    assert {**after, "communication": 0} == {**before, "communication": 0}
    assert tensors(again) == tensors(folder)
    assert study.main([str(again), "--data", settings.data]) == 2
    assert "nothing is lacking" in capsys.readouterr().err


def test_the_central_and_the_federated_network_are_the_same_without_the_others(
    folder: Path, settings: Settings, hasty: pytest.MonkeyPatch
) -> None:
    alone = seeds.run(replace(settings, output=settings.output.with_name("alone"), study=False))
    whole = seeds.shipped(Snapshot.open(folder).report)
    for model, by_protocol in whole.items():
        for protocol, scores in by_protocol.items():
            assert alone[model][protocol] == pytest.approx(scores, abs=1e-6)


def test_a_message_of_another_size_would_show() -> None:
    ledger = Ledger([{"a": 5, "b": 5}], [{"a": 7, "b": 7}])
    assert ledger.in_sizes(2, 3) == Ledger([{"a": 2, "b": 2}], [{"a": 3, "b": 3}])
