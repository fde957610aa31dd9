from __future__ import annotations

from types import SimpleNamespace

from fedmed.page import explanation
from tests.support.predictions import config, prediction
from tests.support.reports import HOSPITALS, MODELS


def both(found, about) -> tuple[str, str]:
    return explanation.headline(found, about), explanation.reason(found, about)


def test_all_agree():
    headline, reason = both(prediction(MODELS), config())
    assert headline == "All seven models say PNEUMONIA."
    assert "20 to 95\N{NO-BREAK SPACE}%" in reason and "agree all the same" in reason


def test_hospitals_that_lean_as_their_patients_did():
    found = prediction(("central", "federated", "hospital_1", "hospital_2", "hospital_3"))
    headline, reason = both(found, config())
    assert headline == "Central and federated say PNEUMONIA; Hospitals 4 and 5 say NORMAL."
    assert "60 to 95\N{NO-BREAK SPACE}%" in reason and "20 to 40\N{NO-BREAK SPACE}%" in reason
    assert reason.endswith("each side leans the way its own patients did.")


def test_a_mix_that_explains_part_or_nothing():
    partly = explanation.reason(prediction(("hospital_1", "hospital_4")), config())
    assert partly.endswith("the mix explains part of the split.")
    against = explanation.reason(prediction(("hospital_5",)), config())
    assert against.endswith("the mix does not explain the split.")


def test_one_dissenter_is_named_in_the_singular():
    headline = explanation.headline(prediction(("hospital_1",)), config())
    assert headline == "Central and federated say NORMAL; Hospital 1 says PNEUMONIA."


def test_central_and_federated_differ():
    headline = explanation.headline(prediction(("central", "hospital_1", "hospital_2")), config())
    assert headline == (
        "Central says PNEUMONIA, federated says NORMAL; 3 of 5 hospitals side with federated."
    )


def test_a_folder_without_federated_model_and_mixes():
    models = ("central", *HOSPITALS)
    about = config(models)
    for model in about["models"].values():
        model["training"] = None
    headline, reason = both(prediction(("hospital_2",), models), about)
    assert headline == "Central says NORMAL; Hospital 2 says PNEUMONIA."
    assert reason == ""


def test_against_the_expected_label():
    assert explanation.against(prediction(("hospital_2",)), "NORMAL") == "6 of 7 models say so"


def test_a_thousand_hospitals_are_counted_and_not_listed():
    models = ("central", "federated", *(f"hospital_{k}" for k in range(1, 1001)))
    found = prediction(models[2:414], models)
    assert both(found, config(models))[0] == (
        "Central and federated say NORMAL; 412 of 1,000 hospitals say PNEUMONIA."
    )
    assert explanation.against(found, "PNEUMONIA") == "412 of 1,002 models say so"


def test_one_model_alone_says_what_it_says():
    found = SimpleNamespace(labels={"federated": "NORMAL"}, agreement={"dissenting": []})
    assert explanation.headline(found, {"models": {"federated": {}}}) == "Federated says NORMAL."
