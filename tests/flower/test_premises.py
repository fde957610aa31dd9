"""A hospital's folder on this machine: dealt, looked at, trained on and scored."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch

from fedmed import data
from fedmed import hospital as command
from fedmed.data.simulated import simulated_cohort
from fedmed.errors import UserError
from fedmed.files import sha256_of
from fedmed.flower import networks, xrays
from fedmed.flower.dealing import deal
from fedmed.flower.premises import Premises
from fedmed.training.heads import new_heads


@pytest.fixture(scope="module")
def dealt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dealt")
    names = deal(simulated_cohort(24, 2), None, folder, hospitals=1, seed=42)
    return folder, names


def test_every_patient_of_a_folder_is_dealt_once_and_files_are_as_they_were(dealt, tmp_path):
    source = dealt[0] / "hospital_1"
    cohort = data.load(str(source))
    names = deal(cohort, source, tmp_path, hospitals=2, seed=42)
    digests = [sha256_of(path) for name in names for path in (tmp_path / name).rglob("*.png")]
    assert sorted(digests) == sorted(xray.digest for xray in cohort.train)


def test_a_hospital_holds_out_its_own_and_caches_at_home(dealt, tmp_path):
    folder, names = dealt
    here = Premises.open(names[0], str(folder / names[0]), tmp_path)
    told = here.counts()
    assert sum(told["images"]) + sum(told["held_out"]) == len(here.cohort.images)
    assert not {x.patient for x in here.cohort.train} & {x.patient for x in here.cohort.test}
    site = here.site("robust", 1, 42)
    assert len(site.labels) == sum(told["images"])
    tn, fp, fn, tp = here.score(new_heads(1, here.backbone.width))
    assert [tn + fp, fn + tp] == told["held_out"]  # a head of zeros calls all PNEUMONIA
    assert (tn, fn) == (0, 0)
    assert list((tmp_path / "features").rglob("*.safetensors"))


def test_x_rays_for_networks_are_decoded_once_and_kept_small(dealt, tmp_path, monkeypatch):
    folder, names = dealt
    here = Premises.open(names[0], str(folder / names[0]), tmp_path)
    site = here.images(32)
    assert site.pixels().shape == (len(here.cohort.train), 32, 32)
    assert torch.bincount(site.labels).tolist() == here.counts()["images"]
    (file,) = (tmp_path / "pixels").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(xrays, "decode_all", lambda films: pytest.fail("decoded again"))
        assert here.images(32).file == file
    assert here.images(48).pixels().shape[-1] == 48
    assert len(list((tmp_path / "pixels").iterdir())) == 1  # of one size at a time


def test_a_held_out_x_ray_that_cannot_be_read_is_told_before_networks_are_trained(dealt, tmp_path):
    folder, names = dealt
    shutil.copytree(folder / names[0], tmp_path / "xrays")
    here = Premises.open(names[0], str(tmp_path / "xrays"), tmp_path / "home")
    (tmp_path / "xrays" / here.cohort.test[0].name).write_bytes(b"no picture")
    with pytest.raises(UserError, match="cannot be read"):
        here.images(32)


def test_a_network_is_scored_on_who_was_held_out(dealt, tmp_path):
    folder, names = dealt
    here = Premises.open(names[0], str(folder / names[0]), tmp_path)
    network = networks.whole(here.backbone, {}, {})
    tn, fp, fn, tp = here.score_network(network, 64)
    assert (tn, fn) == (0, 0)  # its head is of zeros, and so it calls all PNEUMONIA
    assert [fp, tp] == here.counts()["held_out"]
    never = network | {"fc.bias": torch.tensor([1.0, 0.0])}
    assert here.score_network(never, 64) == [fp, 0, tp, 0]


def test_a_folder_that_is_none_is_refused(tmp_path):
    for folder in ("owner/name", str(tmp_path / "nothing")):
        with pytest.raises(UserError, match="no such folder"):
            Premises.open("here", folder, tmp_path)


def test_check_says_what_it_would_contribute(dealt, tmp_path, capsys):
    folder, names = dealt
    home = tmp_path / "home"
    assert command.main(["--check", str(folder / names[0]), "--home", str(home)]) == 0
    assert "It would train on " in capsys.readouterr().out
    assert not home.exists()
    assert command.main(["--check", str(tmp_path / "nothing")]) == 2


def test_joining_needs_what_it_needs(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["--join", "localhost:1", "--name", "hospital_1"])
    assert stopped.value.code == 2 and "--data, --ca, --key" in capsys.readouterr().err
    given = ["--join", "localhost:1", "--name", "h", "--data", "x", "--ca", "no.crt", "--key", "k"]
    assert command.main(given) == 2
    assert "no.crt: no such file" in capsys.readouterr().err


def test_patients_are_counted_once_whatever_their_xrays(dealt, tmp_path, monkeypatch):
    """Unless they are trained on as well, as a folder with splits of its own may have it."""
    folder, names = dealt
    here = Premises.open(names[0], str(folder / names[0]), tmp_path)
    film = here.cohort.test[0]
    films = [
        replace(film, patient=patient, label=label)
        for patient, label in [("a", 0), ("a", 0), ("a", 1), ("b", 0), ("b", 1), ("c", 0), ("d", 1)]
    ]
    cohort = replace(here.cohort, test=films, train=[replace(film, patient="d")])
    here = replace(here, cohort=cohort)
    said = torch.tensor([0.9, 0.1, 0.4, 0.4, 0.4, 0.5, 0.9])
    # a: 0.47 of 0.5, NORMAL; b: 0.4, half of either, so PNEUMONIA; c: 0.5, NORMAL; d is trained on.
    assert here._count_patients(said) == [1, 1, 1, 0]
