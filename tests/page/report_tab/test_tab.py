from __future__ import annotations

import base64
import copy
import csv
import gzip
import json
from io import StringIO

import pytest

from fedmed.page.report_tab import curves, run_facts, tab, tables
from fedmed.report import claims
from fedmed.report.reliability import reliability
from tests.support.markup import read, tags, text
from tests.support.reports import HOSPITALS, MODELS, with_hospitals


@pytest.fixture(scope="module")
def html(stored):
    return tab.html(stored)


def test_no_report_says_so():
    assert "No report" in text(tab.html(None))


def test_both_protocols_and_every_part(stored, html):
    shown = text(html)
    for protocol in ("validation", "test"):
        assert stored["comparison"][protocol]["words"][1:].partition(" images")[0] in shown
        assert stored["protocols"][protocol]["description"][1:] in shown
    for heading in (
        "Every model, every metric",
        "Confusion matrices",
        "Ranking and calibration",
    ):
        assert heading in shown
    for heading in (
        "Round by round",
        "What travelled",
        "Who held what",
        "The data, audited",
        "How it was made",
    ):
        assert heading in shown
    assert "Simulated X-rays." in shown


@pytest.mark.parametrize("protocol", ["validation", "test"])
def test_the_table_holds_the_stored_numbers(stored, protocol):
    html = tables.table(stored, protocol)
    rows = tags(html, "tr", class_=None)
    assert len(rows) == 1 + len(MODELS) + len(HOSPITALS)
    cells = [tag["data-value"] for tag in tags(html, "td") if "data-value" in tag]
    models = stored["protocols"][protocol]["models"]
    expected = [models[model][name]["value"] for model in MODELS for name in tables.COLUMNS]
    assert [float(cell) for cell in cells[: len(expected)]] == expected
    assert len([tag for tag in tags(html, "th") if "aria-sort" in tag]) == len(tables.COLUMNS)


def test_confusion_counts(stored):
    html = tables.confusion(stored, "test")
    shown = text(html)
    for model in MODELS:
        matrix = stored["protocols"]["test"]["models"][model]["confusion_matrix"]
        assert f"NORMAL {matrix[0][0]} {matrix[0][1]} PNEUMONIA {matrix[1][0]} {matrix[1][1]}" in (
            shown
        )


def test_csv_is_the_whole_table(stored):
    rows = list(csv.DictReader(StringIO(tables.as_csv(stored))))
    assert len(rows) == 3 * (len(MODELS) + len(HOSPITALS)) * len(tables.COLUMNS)
    found = {(row["protocol"], row["model"], row["metric"]): row for row in rows}
    auc = stored["protocols"]["test"]["models"]["federated"]["auc"]
    row = found["test", "federated", "auc"]
    assert [float(row[end]) for end in ("value", "low", "high")] == list(auc.values())
    alone = stored["local_only"]["validation"]["hospital_2"]["f1"]["value"]
    assert float(found["validation", "hospital_2 alone", "f1"]["value"]) == alone


def test_downloads_hold_the_files(stored, html):
    links = {tag["download"]: tag["href"] for tag in tags(html, "a") if "download" in tag}
    content = {name: base64.b64decode(link.split(",", 1)[1]) for name, link in links.items()}
    assert json.loads(content["evaluation.json"]) == stored
    assert content["evaluation.csv"].decode() == tables.as_csv(stored)


def test_curves_of_every_model(stored):
    models = stored["protocols"]["test"]["models"]
    for draw in (curves.roc, curves.calibration):
        lines = tags(draw(models), "g", class_="fm-line")
        assert sorted(line["data-model"] for line in lines) == sorted(MODELS)
        assert {line["data-model"] for line in lines[-2:]} == {"central", "federated"}


@pytest.mark.parametrize("metric", list(curves.ROUND_METRICS))
def test_rounds_central_and_alone(stored, metric):
    dots = tags(curves.rounds(stored, metric), "circle")
    after = [dot for dot in dots if dot["data-model"] == "federated"]
    assert len(after) == len(stored["rounds"])
    value = stored["rounds"][0]["validation"][metric]["value"]
    assert after[0]["data-tip"].startswith(f"Federated after round 1: {100 * value:.1f} %")
    assert [dot["data-model"] for dot in dots if dot not in after] == list(HOSPITALS)


def test_a_run_of_one_round_is_drawn(stored):
    short = stored | {"rounds": stored["rounds"][:1]}
    assert len(tags(curves.rounds(short, "auc"), "circle")) == 1 + len(HOSPITALS)


def test_bytes_on_a_logarithmic_scale(stored):
    dots = tags(run_facts.bytes_chart(stored), "circle")
    formats = stored["communication"]["formats"]
    across = {dot["data-tip"]: float(dot["cx"]) for dot in dots}
    assert len(across) == 3 * len(formats)
    places = [
        across[f"{sent['title']}, one update: {sent['update_bytes']:,} bytes"]
        for sent in formats.values()
    ]
    assert places == sorted(places, reverse=True)
    told, of_whole = run_facts.update(stored)
    assert told == "4.3 kB" and "frozen" in of_whole
    formats = copy.deepcopy(stored["communication"]["formats"])
    formats["fp32"]["update_bytes"] = formats["full_fp32"]["update_bytes"]
    whole = stored | {"communication": stored["communication"] | {"formats": formats}}
    assert "the whole network travels" in run_facts.update(whole)[1]


def test_text_of_the_report_is_escaped(stored):
    hostile = json.loads(
        json.dumps(stored)
        .replace("label-skew", "<img src=x>")
        .replace("hospital_5", 'hospital_\\"><img src=x>')
        .replace("Head, INT8", '\\"><img src=x>')
    )
    hostile["protocols"]["test"]["description"] = "<script>alert(1)</script>"
    hostile["environment"]["python"] = '"><b>'
    hostile["data"]["title"] = "<i>"
    html = tab.html(hostile)
    read(html)
    assert "<script" not in html and "<img" not in html and "<i>&lt;" not in html


def test_older_or_richer_reports_are_drawn(stored):
    other = json.loads(json.dumps(stored))
    other["data"]["public_cohort"] = {"images": {"NORMAL": 3, "PNEUMONIA": 4}, "patients": 5}
    other["partition"]["alpha"] = 0.3
    other["data"]["patients_known"] = False
    shown = text(tab.html(other))
    assert "7 images (3 NORMAL, 4 PNEUMONIA) of 5 patients" in shown
    assert "alpha 0.3" in shown and "an image counts as a patient" in shown


def test_differences_whose_interval_leaves_out_zero_stand_out(stored):
    sure = {"value": -0.02, "low": -0.03, "high": -0.01}
    unsure = {"value": 0.02, "low": -0.01, "high": 0.05}
    other = json.loads(json.dumps(stored))
    for name in ("accuracy", "balanced_accuracy", "f1", "auc"):
        other["comparison"]["test"][f"{name}_difference"] = sure if name == "f1" else unsure
        other["comparison"]["validation"][f"{name}_difference"] = unsure
    html = tab.html(other)
    assert len(tags(html, "div", class_="fm-sure")) == 1
    assert "F1 −2.0 −3.0 to −1.0" in text(html)


def test_a_thousand_hospitals_make_no_longer_a_page(stored):
    many = with_hospitals(stored, 1000)
    html = tab.html(many)
    read(html)
    assert len(tags(tables.table(many, "test"), "tr", class_=None)) == 1 + 12 + 10 + 2
    assert len(tags(html, "table", class_="fm-confusion")) == 3 * 12
    assert len(tags(curves.roc(many["protocols"]["test"]["models"]), "g", class_="fm-line")) == 12
    assert "Of 1,000 hospitals, 10 are shown" in text(html)
    links = {tag["download"]: tag["href"] for tag in tags(html, "a") if "download" in tag}
    content = {
        name: gzip.decompress(base64.b64decode(link.split(",", 1)[1]))
        for name, link in links.items()
    }
    assert json.loads(content["evaluation.json.gz"]) == many
    assert content["evaluation.csv.gz"].decode() == tables.as_csv(many)
    assert len(html) - sum(map(len, links.values())) < 400_000


def test_shifted_validation_stands_beside_the_others_with_its_meaning(stored, html):
    switch = [tag["data-to"] for tag in tags(html, "button") if "data-to" in tag]
    assert switch[:3] == ["test", "validation", "shifted"]
    shown = text(html)
    assert claims.framing(stored, "shifted") in shown
    for pair in stored["protocols"]["shifted"]["pairs"]:
        assert pair.capitalize() in shown
    older = copy.deepcopy(stored)
    del older["protocols"]["shifted"], older["local_only"]["shifted"]
    assert "shifted" not in [tag.get("data-to") for tag in tags(tab.html(older), "button")]


def test_calibration_is_drawn_before_and_after_where_the_report_has_both(stored, html):
    assert "Calibration, with temperatures" in text(html)
    assert reliability(stored, "test") in text(html)
    older = copy.deepcopy(stored)
    del older["calibration"]
    for protocol in ("validation", "test"):
        for scores in older["protocols"][protocol]["models"].values():
            del scores["calibrated"]
    shown = text(tab.html(older))
    assert "temperature" not in shown and "Calibration" in shown
