from __future__ import annotations

import copy

from fedmed.report.claims import summary
from fedmed.report.table import table
from tests.support.reports import MODELS, example_report, with_hospitals

EXAMPLE = example_report()
MANY = with_hospitals(EXAMPLE, 1000)


def test_table_holds_every_model_and_fits_80_columns():
    lines = table(EXAMPLE).splitlines()
    assert max(map(len, lines)) <= 80
    assert "validation (n = 120)" in lines[0] and "test (n = 90)" in lines[0]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:9]}
    assert list(rows) == list(MODELS)
    for model, cells in rows.items():
        expected = [
            f"{100 * EXAMPLE['protocols'][protocol]['models'][model][name]['value']:.1f}"
            for protocol in ("validation", "test")
            for name in ("accuracy", "precision", "recall", "f1")
        ]
        assert cells == expected


def test_table_tells_the_bytes_and_which_format_was_sent():
    lines = table(EXAMPLE).splitlines()
    head = EXAMPLE["communication"]["formats"]["fp32"]
    (sent,) = [line for line in lines if "Head, FP32 *" in line]
    assert sent.split()[-3:] == [
        f"{head[f'{unit}_bytes']:,}" for unit in ("update", "round", "run")
    ]
    assert any("5 hospitals, 2 rounds" in line for line in lines)
    assert sum("FP" in line or "INT" in line for line in lines) == 4


def test_the_closing_table_is_short_and_tells_the_median():
    lines = table(MANY).splitlines()
    assert len(lines) < 50 and max(map(len, lines)) <= 80
    assert "Of 1,000 hospitals, 10 are shown" in "\n".join(lines)
    accuracies = sorted(
        EXAMPLE["protocols"]["test"]["models"][f"hospital_{k}"]["accuracy"]["value"]
        for k in range(1, 6)
    )
    (median,) = [line.split() for line in lines if line.startswith("median of all")]
    assert median[-4] == f"{100 * accuracies[2]:.1f}"


def test_hospitals_without_a_class_are_told():
    report_without = copy.deepcopy(MANY)
    for hospital in report_without["partition"]["hospitals"][:3]:
        hospital["images"]["NORMAL"] = 0
    told = " ".join(table(report_without).split())
    assert "3 of 1,000 hospitals hold no NORMAL X-ray" in told


def test_the_claims_stand_below_but_for_what_the_table_and_the_page_tell():
    told = " ".join(table(EXAMPLE).split())
    for claim in summary(EXAMPLE):
        left_out = claim.kind in ("bytes", "record", "mix", "contribution", "worst-off")
        assert (" ".join(f"- {claim.text}".split()) in told) != left_out


def test_of_networks_it_says_whose_a_hospitals_is():
    told = "A hospital's network is the one it has without the others, trained as long."
    assert told not in table(EXAMPLE)
    lines = table({**EXAMPLE, "training": {"mode": "network"}}).splitlines()
    assert told in lines and max(map(len, lines)) <= 80


def test_the_very_same_sums_are_listed_once():
    report = example_report()
    formats = report["communication"]["formats"]
    for name in ("fp32", "fp16", "int8"):
        formats[name] = {**formats["fp32"], "title": "Second moments, FP64"}
    assert table(report).count("Second moments, FP64") == 1
    assert table(example_report()).count("Head, ") == 3
