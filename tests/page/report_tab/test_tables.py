"""Where whole networks were trained, a hospital's model is the one it has alone."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from fedmed.backbones.backbone import NETWORK
from fedmed.page.report_tab import tables
from fedmed.snapshot.reader import Snapshot


@pytest.mark.parametrize("protocol", ["validation", "test"])
def test_each_hospital_has_one_row_with_its_threshold(protocol: str) -> None:
    report = Snapshot.open(NETWORK).report
    found = {title: metrics for _, title, metrics in tables.rows(report, protocol)}
    hospitals = [f"Hospital {number}, alone" for number in range(1, 6)]
    assert list(found) == ["Central", "Federated", *hospitals]
    assert tables.table(report, protocol).count("<tr") == 1 + len(found)
    models = report["protocols"][protocol]["models"]  # type: ignore[literal-required]
    assert found["Hospital 3, alone"] == models["hospital_3"]


def test_the_file_to_download_names_them_as_others_do() -> None:
    lines = csv.DictReader(StringIO(tables.as_csv(Snapshot.open(NETWORK).report)))
    assert {line["model"] for line in lines} == {
        "central",
        "federated",
        *(f"hospital_{number} alone" for number in range(1, 6)),
    }
