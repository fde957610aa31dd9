from __future__ import annotations

import json
from dataclasses import replace

import pytest
from PIL import Image

from fedmed.errors import FORMATS
from fedmed.page.examples import load, strip, told
from tests.support.markup import tags, text


def folder_of(path, *entries):
    path.mkdir(parents=True, exist_ok=True)
    described = []
    for file, label in entries:
        described.append({"file": file, "label": label, "source": "a <test>", "licence": "MIT"})
    (path / "examples.json").write_text(json.dumps({"examples": described}))
    return path


def test_the_first_folder_with_examples_is_taken(tmp_path):
    Image.new("L", (60, 40), 9).save(tmp_path / "outside.png")
    own = folder_of(tmp_path / "own", ("a.png", "NORMAL"), ("b.png", "PNEUMONIA"))
    for name in ("a.png", "b.png"):
        Image.new("L", (60, 40), 90).save(own / name)
    assert load(tmp_path / "none", own) == load(own)
    assert [example.label for example in load(own)] == ["NORMAL", "PNEUMONIA"]
    assert load(folder_of(tmp_path / "empty"), own) == load(own)
    assert load(tmp_path / "none") == []
    (tmp_path / "empty" / "examples.json").write_text('{"examples": [3, {"file": 5}, {}]}')
    assert load(tmp_path / "empty") == []
    (tmp_path / "empty" / "examples.json").write_text("no json")
    assert load(tmp_path / "empty") == []


def test_what_cannot_be_shown_is_left_out(tmp_path):
    Image.new("L", (60, 40)).save(tmp_path / "outside.png")
    own = folder_of(
        tmp_path / "own",
        ("../outside.png", "NORMAL"),
        ("missing.png", "NORMAL"),
        ("broken.png", "NORMAL"),
        ("odd.png", "FRACTURE"),
        ("good.png", "NORMAL"),
    )
    (own / "broken.png").write_bytes(b"no picture")
    for name in ("odd.png", "good.png"):
        Image.new("L", (60, 40), 77).save(own / name)
    assert [example.image.getpixel((0, 0)) for example in load(own)] == [77]


def test_links_are_shown_as_in_the_hub_s_cache(tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    Image.new("L", (60, 40), 55).save(blobs / "1.png")
    own = folder_of(tmp_path / "own", ("a.png", "NORMAL"))
    (own / "a.png").symlink_to(blobs / "1.png")
    (own / "examples.json").rename(blobs / "2")
    (own / "examples.json").symlink_to(blobs / "2")
    assert [example.image.getpixel((0, 0)) for example in load(own)] == [55]


def test_tiles(tmp_path):
    own = folder_of(tmp_path / "own", ("a.png", "NORMAL"), ("b.png", "PNEUMONIA"))
    for name in ("a.png", "b.png"):
        Image.new("L", (900, 400), 90).save(own / name)
    html = strip(load(own), chosen=1)
    tiles = tags(html, "button", class_="fm-tile")
    assert [(tile["data-example"], tile["aria-pressed"]) for tile in tiles] == [
        ("0", "false"),
        ("1", "true"),
    ]
    assert f"{FORMATS} NORMAL PNEUMONIA" in text(html)
    assert "a <test>" not in html
    assert len(html) < 10_000, "thumbnails travel small"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["NORMAL", "NORMAL"], "How. The federated model gets 1 of them wrong: 2."),
        (["PNEUMONIA", "NORMAL"], "How. The federated model gets 2 of them wrong: 1, 2."),
        (["NORMAL", "PNEUMONIA"], "How. The federated model gets none of them wrong."),
        ([], "How."),
    ],
)
def test_how_they_were_chosen_and_which_are_answered_wrong(tmp_path, said, words):
    own = folder_of(tmp_path / "own", ("a.png", "NORMAL"), ("b.png", "PNEUMONIA"))
    listing = json.loads((own / "examples.json").read_text())
    (own / "examples.json").write_text(json.dumps({"chosen": "How."} | listing))
    for name in ("a.png", "b.png"):
        Image.new("L", (60, 40), 90).save(own / name)
    found = load(own)
    assert told(found, said) == words
    assert words in text(strip(found, 0, told(found, said)))
    assert told([], []) == ""


def test_what_it_gets_wrong_of_all_that_it_was_scored_on_stands_beside_them(tmp_path, stored):
    own = folder_of(tmp_path / "own", ("a.png", "NORMAL"))
    Image.new("L", (60, 40), 90).save(own / "a.png")
    (negative, false), (missed, positive) = stored["protocols"]["test"]["models"]["federated"][
        "confusion_matrix"
    ]
    n = negative + false + missed + positive
    assert told(load(own), ["PNEUMONIA"], stored) == (
        "The federated model gets 1 of them wrong: 1. On the official test, "
        f"n = {n}, it gets {100 * (false + missed) / n:.1f} % wrong."
    )
    assert told(load(own), [], stored) == ""


@pytest.mark.parametrize(
    ("source", "told_so"), [("simulated, patient 1", True), ("a clinic", False)]
)
def test_simulated_ones_that_go_wrong_far_oftener_are_said_to_be_none_it_learned_from(
    tmp_path, stored, source, told_so
):
    own = folder_of(tmp_path / "own", ("a.png", "NORMAL"))
    Image.new("L", (60, 40), 90).save(own / "a.png")
    found = [replace(load(own)[0], source=source)]
    of_people = stored | {"data": stored["data"] | {"simulated": False}}
    words = "It learned from real X-rays, which these are not."
    assert (words in told(found, ["PNEUMONIA"], of_people)) is told_so
    assert words not in told(found, ["NORMAL"], of_people)
    of_simulated = stored | {"data": stored["data"] | {"simulated": True}}
    assert words not in told(found, ["PNEUMONIA"], of_simulated)
