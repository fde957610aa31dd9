"""A hospital's limits go from its command line to the process that answers."""

from __future__ import annotations

import pytest

from fedmed import coordinator, hospital
from fedmed.flower import reach, supernode


def join(tmp_path, *more):
    for name in ("ca.crt", "key"):
        (tmp_path / name).touch()
    (tmp_path / "xrays").mkdir(exist_ok=True)
    files = ("--ca", str(tmp_path / "ca.crt"), "--key", str(tmp_path / "key"))
    return hospital.main(
        [
            "--join",
            "server:8443",
            "--name",
            "hospital_1",
            "--data",
            str(tmp_path / "xrays"),
            *files,
            *more,
        ]
    )


def test_limits_are_the_nodes_own_settings(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(supernode, "run", given.append)
    monkeypatch.setattr(reach, "wait_for", lambda address, authority: None)
    assert join(tmp_path, "--max-epsilon", "3", "--max-total-epsilon", "8") == 0
    assert join(tmp_path) == 0
    with_limits, without = (arguments[-1] for arguments in given)
    assert 'max-epsilon="3.0"' in with_limits and 'max-total-epsilon="8.0"' in with_limits
    assert "epsilon" not in without


@pytest.mark.parametrize("value", ["0", "nan", "1e9", "strong"])
def test_a_limit_that_is_none_is_refused(value, tmp_path, capsys):
    with pytest.raises(SystemExit):
        join(tmp_path, "--max-epsilon", value)
    assert f"{value!r} is not a number from 0.01 to 100" in capsys.readouterr().err


def test_delta_needs_epsilon_as_train_py_says(tmp_path, capsys):
    with pytest.raises(SystemExit):
        coordinator.main(["--keys", str(tmp_path), "--delta", "1e-6"])
    assert "--delta needs --epsilon" in capsys.readouterr().err
