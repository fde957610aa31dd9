"""The public data set: known by its exact names or its files, never by what names look like."""

from __future__ import annotations

import hashlib

import pytest

from fedmed.data import public_dataset
from fedmed.data.assemble import assemble
from fedmed.data.listed import Listed
from fedmed.data.public_dataset import is_public, name_digest, public_names, public_sample
from tests.support.xrays import listed

NORMAL = ["IM-0115-0001.jpeg", "IM-0117-0001.jpeg", "NORMAL2-IM-0246-0001-0001.jpeg"]
PNEUMONIA = ["person1_bacteria_1.jpeg", "person1_bacteria_2.jpeg", "person1_virus_6.jpeg"]


def images(normal: list[str], pneumonia: list[str]) -> list[Listed]:
    return [listed(f"train/NORMAL/{name}", 0) for name in normal] + [
        listed(f"train/PNEUMONIA/{name}", 1) for name in pneumonia
    ]


def test_what_is_kept_are_5840_names_and_samples() -> None:
    assert 5835 <= len(public_names()) <= 5840, "three bytes may meet by chance"
    assert len(public_sample("file")) == 40
    assert len(public_sample("name")) == 75


def test_exact_names_are_the_public_data_set_whatever_the_pixels() -> None:
    assert is_public(images(NORMAL, PNEUMONIA))


@pytest.mark.parametrize("suffix", ["dcm", "jpeg", "jpg"])
def test_what_a_viewer_calls_its_exports_is_not(suffix: str) -> None:
    names = [f"IM-{n:04d}-0001.{suffix}" for n in range(1, 301)]
    own = images(names, names)
    assert not is_public(own)
    cohort = assemble("folder", "clinic", own, where="--data clinic")
    assert cohort.about == {"title": "clinic", "licence": "unknown", "citation": ""}
    assert len({xray.patient for xray in cohort.images}) == 600


def test_names_of_the_other_class_do_not_count() -> None:
    assert not is_public(images(PNEUMONIA, NORMAL))
    assert not is_public(images(NORMAL, []))


def test_a_few_other_pictures_are_let_pass_many_are_not() -> None:
    strangers = [f"scan-{n}.jpeg" for n in range(2)]
    many = [f"person{n}_virus_{n + 40}.jpeg" for n in range(200)]
    known = [name for name in many if name_digest(1, name) in public_names()]
    assert not is_public(images(NORMAL, many)), "the pattern alone"
    assert not is_public(images([*NORMAL, *strangers], PNEUMONIA))
    assert is_public(images(NORMAL * 1, PNEUMONIA + known))


def test_copies_under_other_names_are_still_its_pictures() -> None:
    own = images(NORMAL, PNEUMONIA)
    copies = [listed(f"copy of {x.name}", x.label, digest=x.digest) for x in own]
    assert is_public([*own, *copies])


def test_published_files_under_other_names_are_known_by_their_digests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = images([f"{n}.jpeg" for n in range(300)], [f"{n}.jpeg" for n in range(300)])
    sample = frozenset(image.digest[:16] for image in own[::100])
    monkeypatch.setattr(public_dataset, "public_sample", {"file": sample, "name": {"-"}}.get)
    monkeypatch.setattr(public_dataset, "public_names", lambda: frozenset(range(600)))
    assert is_public(own)
    others = [listed(f"other-{n}.jpeg", n % 2) for n in range(600)]
    assert not is_public([*own, *others]), "half of it is somebody else's"
    assert not is_public(own[:100]), "one file may have strayed into any folder"


def test_mendeleys_archive_is_known_by_its_exact_names_not_by_their_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"BACTERIA-{7 * n}-0001.jpeg" for n in range(200)]
    own = images([f"NORMAL-{7 * n}-0002.jpeg" for n in range(200)], names)
    assert not is_public(own)
    cohort = assemble("folder", "clinic", own, where="--data clinic")
    assert cohort.about["licence"] == "unknown" and cohort.patients_known
    digests = frozenset(hashlib.sha256(name.encode()).hexdigest()[:16] for name in names[:40])
    monkeypatch.setattr(public_dataset, "public_sample", {"file": {"-"}, "name": digests}.get)
    assert is_public(own)
