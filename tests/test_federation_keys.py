"""The command that makes keys says where each belongs."""

from __future__ import annotations

import pytest

from fedmed.federation_keys import main


def test_it_says_where_each_file_belongs(tmp_path, capsys):
    folder = str(tmp_path / "keys")
    assert main([folder, "--host", "localhost", "--hospitals", "hospital_1"]) == 0
    told = capsys.readouterr().out
    assert "ca.crt  goes to every hospital" in told
    assert "hospital_1.key  goes to hospital_1 alone" in told
    assert main([folder, "--host", "localhost", "--hospitals", "hospital_1"]) == 0
    assert "there already" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../x", "ca", "a b", ""])
def test_a_name_that_is_none_is_refused(name, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--host", "localhost", "--hospitals", name])
    assert stopped.value.code == 2 and "is no name" in capsys.readouterr().err


@pytest.mark.parametrize("half", ["ca.key", "server.key", "hospital_1.key"])
def test_half_a_pair_is_named_and_what_to_do_with_it(half, tmp_path, capsys):
    (tmp_path / half).write_text("broken off")
    assert main([str(tmp_path), "--host", "localhost", "--hospitals", "hospital_1"]) == 2
    told = capsys.readouterr().err
    assert f"{half} is there without the other half" in told and "delete it" in told
    (tmp_path / half).unlink()
    assert main([str(tmp_path), "--host", "localhost", "--hospitals", "hospital_1"]) == 0
