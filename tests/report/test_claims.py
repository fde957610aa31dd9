"""Each claim, with reports made to come out each way."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fedmed.report import document
from fedmed.report.claims import claims, record, summary
from fedmed.report.phrases import WHERE
from fedmed.report.schema import protocols
from tests.support.reports import HOSPITALS, example_report, with_hospitals

EXAMPLE = example_report()
NORMAL, PNEUMONIA = 100, 200
N = NORMAL + PNEUMONIA


def around(value: float, width: float = 0.02) -> dict[str, float]:
    return {"value": value, "low": value - width, "high": value + width}


def scores(recall: float, specificity: float, auc: float = 0.95) -> dict[str, Any]:
    """METRICS of a model on 100 NORMAL and 200 PNEUMONIA X-rays."""
    tp, tn = round(PNEUMONIA * recall), round(NORMAL * specificity)
    return {
        "recall": around(recall),
        "specificity": around(specificity),
        "balanced_accuracy": around((recall + specificity) / 2),
        "accuracy": around((tp + tn) / N),
        "auc": around(auc),
        "confusion_matrix": [[tn, NORMAL - tn], [PNEUMONIA - tp, tp]],
    }


def made(
    federated: dict[str, Any] | None = None,
    central: dict[str, Any] | None = None,
    alone: list[dict[str, Any]] | None = None,
    normal_shares: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9),
    **comparison: Any,
) -> dict[str, Any]:
    """A valid report whose test protocol came out like this."""
    report = copy.deepcopy(EXAMPLE)
    test = report["protocols"]["test"]
    test["n"] = N
    for name, of in (("federated", federated), ("central", central)):
        test["models"][name] |= of or scores(0.9, 0.9)
    for name, of in zip(HOSPITALS, alone or [scores(0.9, 0.9)] * 5, strict=True):
        report["local_only"]["test"][name] |= of
        test["models"][name] |= of
    report["comparison"]["test"] |= {"auc_difference": around(0.0)} | comparison
    for hospital, share in zip(report["partition"]["hospitals"], normal_shares, strict=True):
        normal = round(1000 * share)
        hospital["images"] = {"NORMAL": normal, "PNEUMONIA": 1000 - normal}
    return document.validate(report)


def said(report: dict[str, Any], kind: str, protocol: str = "test") -> str:
    """The claim of a kind; empty where none is made."""
    texts = [claim.text for claim in claims(report, protocol) if claim.kind == kind]
    assert len(texts) <= 1
    return "".join(texts)


class TestJoining:
    def test_every_hospital_gains(self):
        text = said(made(alone=[scores(0.7 + k / 100, 0.7) for k in range(5)]), "joining")
        assert text.startswith("Joining helps all 5 hospitals, on the official test, n = 300:")
        assert "is 90.0 %" in text
        assert "from 70.0 % (hospital 1) to 72.0 % (hospital 5)" in text

    def test_every_hospital_loses(self):
        assert said(made(alone=[scores(0.97, 0.99)] * 5), "joining").startswith(
            "Joining hurts all 5 hospitals"
        )

    def test_nobody_is_shown_to_gain_or_lose(self):
        text = said(made(alone=[scores(0.91, 0.91)] * 5), "joining")
        assert text.startswith("Joining is not shown to help or hurt any of 5 hospitals")

    def test_some_gain_some_lose_and_of_some_it_is_not_known(self):
        alone = [scores(0.7, 0.7), scores(0.99, 0.99), *[scores(0.9, 0.91)] * 3]
        assert said(made(alone=alone), "joining").startswith(
            "Joining helps 1 of 5 hospitals (hospital 1), hurts 1 (hospital 2) and makes no "
            "difference that shows for 3, on the official test"
        )

    def test_the_only_hospital(self):
        report = made(alone=[scores(0.7, 0.7)] * 5)
        assert "helps the only hospital," in said(with_hospitals(report, 1), "joining")
        report = with_hospitals(made(), 1)
        assert "help or hurt the only hospital," in said(report, "joining")


class TestRanking:
    def test_models_that_rank_alike_may_differ_in_the_operating_point_only(self):
        alone = [scores(0.99, 0.4, auc=0.954), *[scores(0.6, 0.99)] * 4]
        text = said(made(alone=alone), "ranking")
        assert text.startswith("All 12 models rank X-rays alike (AUC on the official test, n = 300")
        of_networks = made(alone=alone) | {"training": {"mode": "network"}}
        said_of_networks = said(of_networks, "ranking")
        assert said_of_networks.startswith("All 7 models"), "alone is what hospitals have"
        assert "0.950 to 0.954" in text
        assert "only in where they draw the line" in text
        assert "recall from 60.0 to 99.0 %, specificity from 40.0 to 99.0 %" in text

    def test_or_in_nothing(self):
        report = with_hospitals(made(), 2)
        for hospital in ("hospital_1", "hospital_2"):
            report["local_only"]["test"][hospital] |= scores(0.92, 0.88)
        assert "and draw the line in much the same place" in said(report, "ranking")

    def test_the_federated_model_ranks_better(self):
        alone = [scores(0.9, 0.9, auc=0.8), *[scores(0.9, 0.9)] * 4]
        text = said(made(alone=alone), "ranking")
        assert "not only in where they draw the line" in text
        assert "federated ranks better than 1 of 5 hospitals alone (" in text
        assert "0.800 to 0.950, hospital 1" in text

    def test_better_than_all(self):
        text = said(made(alone=[scores(0.9, 0.9, auc=0.8)] * 5), "ranking")
        assert "federated ranks better than all 5 hospitals alone (" in text

    def test_or_worse_than_a_hospital_and_central(self):
        alone = [scores(0.9, 0.9, auc=0.99), *[scores(0.9, 0.9, auc=0.8)] * 4]
        text = said(
            made(
                federated=scores(0.9, 0.9, auc=0.9),
                alone=alone,
                auc_difference=around(-0.05),
            ),
            "ranking",
        )
        assert "better than 4 of 5 hospitals alone and worse than 1 of 5" in text
        assert "1 of 5 hospitals alone and central (" in text

    def test_or_it_is_not_shown(self):
        alone = [scores(0.9, 0.9, auc=0.97), *[scores(0.9, 0.9)] * 4]
        text = said(made(alone=alone), "ranking")
        assert text.startswith("That federated ranks X-rays better or worse")
        assert "is not shown" in text and "alike" not in text


class TestGap:
    @pytest.mark.parametrize(
        ("value", "start"),
        [
            (0.0, "No difference between federated and central is shown"),
            (0.05, "Federated is more accurate than central"),
            (-0.05, "Federated is less accurate than central"),
        ],
    )
    def test_each_way(self, value, start):
        text = said(made(accuracy_difference=around(value), mcnemar_p=0.01), "gap")
        assert text.startswith(start)
        assert f"accuracy {100 * value:+.1f} points" in text
        assert "300 images of the official test" in text

    def test_models_that_answer_alike(self):
        report = made(only_federated_right=0, only_central_right=0)
        assert said(report, "gap") == (
            "Federated and central classify all 300 images of the official test alike."
        )

    def test_what_somebody_typed_into_a_report_is_not_repeated(self):
        texts = [claim.text for claim in claims(made(words="federated is perfect"))]
        assert not any("perfect" in text for text in texts)


class TestCollapse:
    FLAT = scores(0.2, 1.0)  # calls nearly all NORMAL

    def test_no_sentence_where_nothing_collapsed(self):
        assert said(made(), "collapse") == ""
        assert claims(made())[0].kind == "joining"

    def test_the_federated_model_with_its_ranking_whole(self):
        report = made(federated=self.FLAT)
        text = said(report, "collapse")
        assert claims(report)[0].text == text
        assert text.startswith("The federated model has collapsed: on the official test, n = 300,")
        assert "only 20.0 % of the PNEUMONIA X-rays right, and 46.7 % of all" in text
        assert "the central one gets 90.0 % of all right" in text
        assert "rank X-rays alike (AUC 0.950 against 0.950): what is off is the threshold" in text

    def test_with_its_ranking_gone_too(self):
        flat = scores(1.0, 0.1, auc=0.6)
        text = said(made(federated=flat, auc_difference=around(-0.35)), "collapse")
        assert "only 10.0 % of the NORMAL X-rays right" in text
        assert text.endswith("It ranks X-rays worse, too (AUC 0.600 against 0.950).")

    def test_with_its_ranking_in_doubt(self):
        unsure = {"value": -0.05, "low": -0.2, "high": 0.1}
        text = said(made(federated=scores(0.2, 1, auc=0.9), auc_difference=unsure), "collapse")
        assert text.endswith("worse is not shown (AUC 0.900 against 0.950).")

    def test_the_central_model(self):
        flat = scores(1.0, 0.1, auc=0.6)
        text = said(made(central=flat, auc_difference=around(0.35)), "collapse")
        assert text.startswith("The central model has collapsed")
        assert text.endswith("It ranks X-rays worse, too (AUC 0.600 against 0.950).")

    def test_both(self):
        text = said(made(federated=self.FLAT, central=scores(1.0, 0.3)), "collapse")
        assert text.startswith("Both models have collapsed")
        assert "20.0 % of the PNEUMONIA" in text and "30.0 % of the NORMAL" in text


class TestMix:
    """Hospital 1 holds most PNEUMONIA, hospital 5 least."""

    def lean(self, most: dict[str, Any], least: dict[str, Any], **more: Any) -> str:
        return said(made(alone=[most, *[scores(0.9, 0.9)] * 3, least], **more), "mix")

    def test_hospitals_lean_towards_what_they_hold(self):
        text = self.lean(scores(0.99, 0.4), scores(0.5, 0.98))
        assert text.startswith("Trained alone, hospitals lean towards the class they hold more of")
        assert "recall is 99.0 % and specificity 40.0 % at hospital 1 (90 % PNEUMONIA" in text
        assert "50.0 % and 98.0 % at hospital 5 (10 % PNEUMONIA, the least)" in text

    def test_or_away_from_it(self):
        text = self.lean(scores(0.5, 0.98), scores(0.99, 0.4))
        assert text.startswith("Trained alone, hospitals lean away from the class")

    @pytest.mark.parametrize("least", [scores(0.9, 0.9), scores(0.5, 0.5), scores(0.99, 0.99)])
    def test_or_not_at_all_where_one_is_only_better(self, least):
        assert "lean by their mix of patients is not shown" in self.lean(scores(0.9, 0.9), least)

    def test_a_like_mix_says_nothing(self):
        text = self.lean(scores(0.99, 0.4), scores(0.5, 0.98), normal_shares=(0.3,) * 5)
        assert text.startswith("Hospitals hold much the same mix (70 to 70 % PNEUMONIA)")

    def test_one_hospital_has_nothing_to_be_held_against(self):
        assert said(with_hospitals(made(), 1), "mix") == ""

    def test_of_many_hospitals_a_fifth_stands_for_each_end(self):
        alone = [scores(0.99, 0.4), *[scores(0.9, 0.9)] * 3, scores(0.5, 0.98)]
        text = said(with_hospitals(made(alone=alone), 1000), "mix")
        assert "40.0 % at the 200 hospitals with most PNEUMONIA (90 %)" in text
        assert "98.0 % at the 200 hospitals with least PNEUMONIA (10 %)" in text


def test_what_a_model_got_right_is_counted():
    report = made(federated=scores(0.95, 0.7))
    assert said(report, "record") == (
        "On the official test the federated model finds 190 of 200 PNEUMONIA X-rays "
        "(recall 95.0 %) and clears 70 of 100 NORMAL ones (specificity 70.0 %)."
    )
    assert "the hospital 3 model finds 180 of 200" in record(report, "test", "hospital_3")


class TestBytes:
    def sent(self, name: str, **sizes: int) -> str:
        report = made()
        report["communication"]["sent"] = name
        for format, size in sizes.items():
            report["communication"]["formats"][format]["update_bytes"] = size
        return said(report, "bytes")

    def test_what_the_whole_network_would_take_is_no_saving(self):
        text = self.sent("fp32", fp32=4_000, full_fp32=40_000_000)
        assert text.startswith("One update takes 4,000 bytes (Head, FP32). The whole network")
        assert "10,000 times as much, but it is frozen" in text

    def test_a_smaller_format_is_held_against_the_same_update_in_fp32(self):
        text = self.sent("int8", int8=1_000, fp32=4_000, full_fp32=40_000_000)
        assert "1,000 bytes (Head, INT8), 0.25 of its 4,000 in FP32." in text

    def test_where_the_whole_network_travels_nothing_is_saved(self):
        text = self.sent("int8", int8=10_000_000, fp32=40_000_000, full_fp32=40_000_000)
        assert text.endswith("0.25 of its 40,000,000 in FP32: the whole network travels.")


class TestFraming:
    """Whether the models lean on what swapped validation swaps."""

    def swapped(self, federated: float, central: float) -> str:
        report = made()
        for name, value in (("federated", federated), ("central", central)):
            for protocol, accuracy in (("validation", 0.95), ("shifted", value)):
                scores = report["protocols"][protocol]["models"][name]
                scores["balanced_accuracy"] = around(accuracy)
        return said(report, "framing")

    def test_one_falls_and_of_the_other_it_is_not_shown(self):
        text = self.swapped(federated=0.94, central=0.7)
        assert "central falls (balanced accuracy 95.0 %, then 70.0 %) and federated is" in text
        assert "federated is not shown to fall (balanced accuracy 95.0 %, then 94.0 %)." in text
        assert "the shifted validation set, n = 120" in text

    def test_the_other_way_round(self):
        text = self.swapped(federated=0.7, central=0.96)
        assert "central is not shown to fall" in text and "federated falls" in text

    def test_older_reports_say_nothing_of_it(self):
        report = made()
        del report["protocols"]["shifted"], report["local_only"]["shifted"]
        assert said(report, "framing") == ""


def test_every_protocol_is_told_by_its_own_name_and_figures():
    report = made(federated=scores(0.95, 0.7))
    for protocol in protocols(report):
        size = report["protocols"][protocol]["n"]
        assert f"on {WHERE[protocol]}, n = {size}" in said(report, "joining", protocol)
        assert f"on {WHERE[protocol]}, n = {size}" in said(report, "mix", protocol)


def test_on_swapped_validation_nothing_is_claimed_that_was_not_computed():
    """No paired comparison; and its confusion matrices count an X-ray once for every pair."""
    report = made()
    report["protocols"]["shifted"]["models"]["federated"] |= scores(0.2, 1.0, auc=0.7)
    report["protocols"]["shifted"]["models"]["central"] |= scores(0.9, 0.9)
    assert said(report, "gap", "shifted") == said(report, "record", "shifted") == ""
    collapsed = said(report, "collapse", "shifted")
    assert collapsed.endswith("It ranks X-rays worse, too (AUC 0.700 against 0.950).")
    assert "than central" in said(report, "ranking", "shifted") or "central (" in said(
        report, "ranking", "shifted"
    )


def test_the_summary_tells_the_test_and_what_may_differ_on_validation():
    report = made(federated=scores(0.2, 1.0))
    told = [(claim.kind, WHERE["validation"] in claim.text) for claim in summary(report)]
    assert told[0] == ("collapse", False)
    assert ("joining", True) in told and ("gap", True) not in told
    assert ("collapse", True) not in told  # nothing collapsed there
    assert [claim for claim, on_validation in told].count("bytes") == 1


def test_an_empty_class_and_an_empty_hospital_are_no_fault():
    report = made()
    report["protocols"]["test"]["models"]["federated"]["confusion_matrix"] = [[0, 0], [0, 0]]
    for hospital in report["partition"]["hospitals"]:
        hospital["images"] = {"NORMAL": 0, "PNEUMONIA": 0}
    assert "0 of 0 PNEUMONIA X-rays (recall 0.0 %)" in said(report, "record")
    report["partition"]["hospitals"] = []
    report["local_only"]["test"] = {}
    assert {claim.kind for claim in claims(report)} >= {"gap", "record", "bytes"}
