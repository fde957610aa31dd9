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
