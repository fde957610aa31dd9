"""Where the page sends on: never to what a snapshot made up."""

from __future__ import annotations

import pytest

from fedmed.page.links import CODE, links
from fedmed.task import DATASET

DOI = "https://doi.org/10.17632/rscbjbr9sj.3"


def targets(label: str, **data: object) -> dict[str, str]:
    return dict(links(label, {"data": data}))


def test_code_and_papers_are_always_there():
    assert list(dict(links("bundled", None))) == ["Code", "Methods and papers"]
    assert dict(links("bundled", None))["Code"] == CODE


def test_data_by_its_hub_id_or_else_by_its_doi():
    citation = DATASET["citation"]
    assert targets("x", hub_id=None, citation=citation)["Data"] == DOI
    at_hub = targets("x", hub_id="some/data", citation=citation)
    assert at_hub["Data"] == "https://huggingface.co/datasets/some/data"
    assert "Data" not in targets("x", citation="a drawer")


def test_models_where_they_are_published():
    found = targets("some/models@0123abc", citation="")
    assert found["Models"] == "https://huggingface.co/some/models/tree/0123abc"
    assert "Models" not in targets("folder some", citation="")


@pytest.mark.parametrize("hostile", ["javascript:alert(1)", "../../x", 'a/b"onclick=x', "a/b?c"])
def test_what_is_no_repository_is_no_link(hostile):
    found = targets(f"{hostile}@0123abc", hub_id=hostile, citation=f"doi:{hostile}")
    assert set(found) <= {"Code", "Methods and papers", "Data", "Models"}
    assert not {"Data", "Models"} & set(found)
