"""Options that make no sense together are refused in words; those that do are not."""

from __future__ import annotations

import pytest

from fedmed.experiment import choices
from fedmed.experiment.settings import parse
from fedmed.federated.algorithms import ALGORITHMS
from fedmed.federated.algorithms.closed_form import ClosedForm
from fedmed.federated.algorithms.robust import Robust


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--algorithm=ridge --participation=0.5", "--algorithm ridge needs every hospital"),
        ("--algorithm=newton --drop-out=0.1", "leave out --participation and --drop-out"),
        ("--algorithm=lda --quantize=int8", "leave out --quantize"),
        ("--algorithm=krum --hospitals=2", "--hospitals 3"),
        ("--poison=sign-flip --hospitals=1", "--hospitals 2"),
        ("--poison=flip", "label-flip, sign-flip or scale:X"),
        ("--participation=0", "a share above 0"),
        ("--drop-out=1", "a probability below 1"),
        ("--keep-sums", "--keep-sums works with --algorithm class-means, ridge, lda"),
        ("--keep-sums --algorithm=lda --secure-aggregation", "leave out either"),
        ("--keep-sums --algorithm=ridge --hospitals=101", "--hospitals 100 at most"),
        ("--keep-sums --algorithm=ridge --push-to=me/it", "must not be published"),
        ("--personalise=ditto --epsilon=3", "leave out that or --epsilon"),
        ("--personalise=ditto --train=network", "--personalise works with heads"),
        ("--epsilon=3 --algorithm=fedprox", "choose one, or leave out --epsilon"),
    ],
)
def test_refusals(options: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(options.split())
    assert ended.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_what_makes_sense_is_read() -> None:
    asked = "--algorithm=median --poison=scale:100 --participation=0.6 --drop-out=0.1"
    settings = parse([*asked.split(), "--quantize=int8"])
    assert (settings.participation, settings.drop_out, settings.poison) == (0.6, 0.1, "scale:100")
    told = settings.of_the_run()
    assert told["poison"] == "scale:100" and told["drop_out"] == 0.1
    plain = parse([]).of_the_run()
    assert not {"poison", "drop_out", "participation"} & plain.keys()


def test_the_names_are_those_of_the_table() -> None:
    needing = tuple(name for name, kind in ALGORITHMS.items() if kind.needs_everyone)
    assert needing == choices.NEED_EVERYONE
    without = {name for name, kind in ALGORITHMS.items() if kind.needs_features}
    assert {*without, "scaffold"} == set(choices.NEED_FEATURES)
    robust = tuple(name for name, kind in ALGORITHMS.items() if issubclass(kind, Robust))
    assert robust == choices.NEED_THREE
    closed = {name for name, kind in ALGORITHMS.items() if issubclass(kind, ClosedForm)}
    assert closed == set(choices.CLOSED_FORMS)
