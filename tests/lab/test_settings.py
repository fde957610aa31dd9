from __future__ import annotations

import pytest

from fedmed.errors import UserError
from fedmed.experiment.settings import Settings
from fedmed.lab.settings import LabSettings


def test_defaults_are_those_of_train_py():
    lab, train = LabSettings(), Settings()
    shared = ("hospitals", "partition", "alpha", "rounds", "local_epochs", "algorithm", "seed")
    for name in (*shared, "participation", "drop_out", "poison", "quantize", "epsilon"):
        assert getattr(lab, name) == getattr(train, name), name
    assert LabSettings.of({}) == lab


def test_settings_come_back_from_json():
    settings = LabSettings.of({"off": "2,4", "late": [1], "rounds": 7.0, "alpha": "0.3"})
    assert settings.off == (2, 4) and settings.late == (1,) and settings.rounds == 7
    assert LabSettings.of(settings.as_json()) == settings


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rounds": 0}, "rounds is a whole number from 1 to 100, not 0."),
        ({"rounds": 2.5}, "rounds is a whole number"),
        ({"rounds": True}, "rounds is a whole number"),
        ({"rounds": "1e999"}, "rounds is a whole number"),
        ({"hospitals": 51}, "hospitals is a whole number from 2 to 50, not 51."),
        ({"epsilon": "much"}, "epsilon is a number from 0.1 to 100, not 'much'."),
        ({"algorithm": "best"}, "algorithm is one of fedavg, "),
        ({"poison": "arsenic"}, "no way to poison"),
        ({"poison": 3}, "poison is text"),
        ({"off": {"a": 1}}, "off is a list of hospitals by number"),
        ({"off": "9"}, "There is no hospital 9 of 5."),
        ({"off": "5", "poison": "sign-flip"}, "Hospital 5 is off"),
        ({"off": [1, 2, 3, 4, 5]}, "fedavg needs 1 hospitals that are not off, not 0."),
        ({"algorithm": "krum", "off": [1, 2, 3]}, "krum needs 3 hospitals"),
        ({"algorithm": "ridge", "late": [1]}, "needs every hospital in every round"),
        ({"rounds": 100, "local_epochs": 30}, "may be 600 at most, and these are 3000"),
        ({"algorithm": "ridge", "drop_out": 0.5}, "leave out participation and drop_out"),
        ({"algorithm": "fedprox", "epsilon": 3}, "Epsilon works with algorithm fedavg"),
        ({"data": "/etc"}, "There is no setting 'data'. Choose from: hospitals, "),
    ],
)
def test_a_bad_setting_gets_a_sentence(given, sentence):
    with pytest.raises(UserError) as refused:
        LabSettings.of(given)
    assert sentence in str(refused.value)
    assert "--" not in str(refused.value)
