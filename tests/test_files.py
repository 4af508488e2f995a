"""Files are whole or absent."""

import pytest

from kws.files import replacing, write_json


def test_a_file_appears_only_when_whole(tmp_path):
    path = tmp_path / "sub/out.txt"
    with replacing(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["out.txt"]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.mkdir()
        (partial / "half").touch()
        raise RuntimeError
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["out", "out/old"]


def test_leftovers_of_a_killed_run_are_cleared(tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial/half").touch()
    with replacing(tmp_path / "out") as partial:
        assert not partial.exists()
        partial.mkdir()
    assert list((tmp_path / "out").iterdir()) == []


def test_json_refuses_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "a.json", {"ñ": 1})
    assert (tmp_path / "a.json").read_bytes() == '{\n  "ñ": 1\n}\n'.encode()
