"""Files are whole or absent, whoever else writes them, and a full disk is told with the file's name."""

import errno
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from kws.common import files
from kws.common.arrays import map_array, write_array
from kws.common.errors import UserError
from kws.common.files import naming, read_table, replacing, scratch, write_json, write_new, write_table

WRITER = """
import sys, time
from pathlib import Path
from kws.common.files import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.mkdir()
    (partial / "half").write_text("by " + sys.argv[2])
    print("writing", flush=True)
    time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def start_writer():
    """Start a process that writes a folder, and return it once it is at work."""
    with ExitStack() as stack:

        def start(path, name="another", seconds="60"):
            command = [sys.executable, "-c", WRITER, path, name, seconds]
            env = os.environ | {"PYTHONPATH": str(ROOT)}
            writer = stack.enter_context(subprocess.Popen(command, env=env, stdout=subprocess.PIPE))
            stack.callback(writer.kill)
            assert writer.stdout.readline() == b"writing\n"
            return writer

        yield start


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


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


def test_a_second_writer_waits_for_the_first_and_then_takes_its_turn(tmp_path, start_writer):
    first = start_writer(tmp_path / "out", "the first", "1")
    with replacing(tmp_path / "out") as partial:
        assert (tmp_path / "out/half").read_text() == "by the first"
        partial.mkdir()
        (partial / "whole").touch()
    assert first.wait() == 0
    assert names(tmp_path) == ["out", "out/whole"]


def test_a_second_writer_does_not_wait_for_hours_and_harms_nothing(tmp_path, monkeypatch, start_writer):
    monkeypatch.setattr(files, "WAIT_S", 0.2)
    first = start_writer(tmp_path / "out", "the first", "1.5")
    with (
        pytest.raises(UserError, match=r"out\.partial: another process is writing here"),
        replacing(tmp_path / "out"),
    ):
        pass
    assert first.wait() == 0
    assert names(tmp_path) == ["out", "out/half"]


def test_what_a_killed_writer_left_is_cleared_by_the_next_in_that_folder(tmp_path, start_writer):
    writer = start_writer(tmp_path / "out")
    writer.kill()
    writer.wait()
    assert "out.partial/out/half" in names(tmp_path)
    (tmp_path / "film.mkv.partial").write_text("somebody else's")
    write_json(tmp_path / "other.json", 1)
    assert names(tmp_path) == ["film.mkv.partial", "other.json"]


def test_what_is_still_being_written_is_no_leftover(tmp_path, start_writer):
    writer = start_writer(tmp_path / "out")
    write_json(tmp_path / "other.json", 1)
    assert "out.partial/out/half" in names(tmp_path)
    assert writer.poll() is None


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path):
    code = (
        "import sys; from pathlib import Path; from kws.common.files import write_json\n"
        "for _ in range(50): write_json(Path(sys.argv[1]), [int(sys.argv[2])] * 1000)"
    )
    command = [sys.executable, "-c", code, tmp_path / "out.json"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen([*command, f"{n}"], env=env) for n in range(4)]
    while any(writer.poll() is None for writer in writers):
        if (tmp_path / "out.json").exists():
            assert (tmp_path / "out.json").read_text().endswith("]\n")
        time.sleep(0.001)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert names(tmp_path) == ["out.json"]


@pytest.mark.parametrize("old_is_folder", [False, True])
@pytest.mark.parametrize("new_is_folder", [False, True])
def test_a_file_or_a_folder_takes_the_place_of_either(tmp_path, old_is_folder, new_is_folder):
    for is_folder in (old_is_folder, new_is_folder):
        with replacing(tmp_path / "out") as partial:
            partial.mkdir() if is_folder else partial.touch()
            if is_folder:
                (partial / "in").touch()
    assert (tmp_path / "out").is_dir() == new_is_folder
    assert names(tmp_path) == ["out", "out/in"][: 1 + new_is_folder]


def test_where_nothing_was_written_the_old_folder_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out", "out/old"]


def test_a_scratch_folder_is_empty_and_gone_afterwards(tmp_path):
    (tmp_path / "job.partial/work/old").mkdir(parents=True)
    with scratch(tmp_path / "job.partial") as folder:
        assert list(folder.iterdir()) == []
        (folder / "new").touch()
    assert names(tmp_path) == []


WRITES = {
    "array": lambda path: write_array(path, (10_000, 100), np.float32, [np.zeros((10_000, 100))]),
    "json": lambda path: write_json(path, ["x" * 99] * 99_999),
    "table": lambda path: write_table(path, ["a"], [{"a": "x" * 99}] * 99_999),
}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs leave to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_full_disk_names_the_file_and_leaves_nothing(small_disk, write):
    with pytest.raises(OSError, match="No space left") as caught:
        write(small_disk / "out")
    assert Path(caught.value.filename).is_relative_to(small_disk)
    assert "partial" not in caught.value.filename or WRITES["array"] is write
    assert names(small_disk) == (["out"] if WRITES["array"] is write else [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_names_the_file_whoever_writes_it(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "out") as partial:
        partial.symlink_to("/dev/full")
        partial.write_bytes(b"x" * 10**6)
    assert caught.value.filename == str(tmp_path / "out")
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_copy_that_does_not_fit_names_where_it_was_to_go(tmp_path):
    (tmp_path / "source").write_bytes(b"x" * 10**6)
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "out") as partial:
        partial.symlink_to("/dev/full")
        shutil.copyfile(tmp_path / "source", partial)
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "out"), None)


def test_other_errors_keep_what_they_know(tmp_path):
    with pytest.raises(BrokenPipeError) as caught, naming(tmp_path / "out"):
        raise BrokenPipeError(32, "Broken pipe")
    assert caught.value.filename is None


def test_an_array_is_written_as_numpy_writes_it(tmp_path):
    rows = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    write_array(tmp_path / "a.npy", rows.shape, rows.dtype, [rows[:5], rows[5:]])
    np.save(tmp_path / "b.npy", rows)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


ARRAY = np.arange(12, dtype=np.int16).reshape(3, 4)


def npy(folder):
    np.save(folder / "a.npy", ARRAY)
    return (folder / "a.npy").read_bytes()


def test_an_array_is_mapped_if_it_is_of_the_kind_expected(tmp_path):
    npy(tmp_path)
    assert np.array_equal(map_array(tmp_path / "a.npy", np.int16, 2), ARRAY)
    for dtype, ndim in ((np.float32, 2), (np.int16, 3)):
        with pytest.raises(UserError, match=r"a\.npy: holds <i2 of shape \(3, 4\), expected"):
            map_array(tmp_path / "a.npy", dtype, ndim)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bytes_that_are_no_array_are_one_line(tmp_path, data):
    whole = npy(tmp_path)
    at = data.draw(st.integers(0, len(whole) - 1))
    content = data.draw(
        st.binary(max_size=200)
        | st.just(whole[:at])
        | st.binary(min_size=1, max_size=9).map(lambda b: whole[:at] + b + whole[at + len(b) :])
    )
    (tmp_path / "a.npy").write_bytes(content)
    try:
        assert map_array(tmp_path / "a.npy", np.int16, 2).dtype == np.int16
    except UserError as error:
        assert str(error).startswith(f"{tmp_path}/a.npy: ")
        assert "\n" not in str(error)


def numbered(folder):
    return (folder / f"{number}.txt" for number in count(1))


def test_a_new_file_takes_the_first_free_name_and_no_other_place(tmp_path):
    (tmp_path / "1.txt").write_text("there")
    (tmp_path / "2.txt").symlink_to("nowhere")
    assert write_new(numbered(tmp_path), b"new") == tmp_path / "3.txt"
    assert write_new(numbered(tmp_path / "sub"), b"new") == tmp_path / "sub/1.txt"
    assert names(tmp_path) == ["1.txt", "2.txt", "3.txt", "sub", "sub/1.txt"]
    assert (tmp_path / "1.txt").read_text() == "there"
    assert (tmp_path / "3.txt").read_bytes() == b"new"


@pytest.mark.parametrize("links", [True, False])
def test_many_that_write_new_files_at_once_all_keep_what_they_have(tmp_path, monkeypatch, links):
    """Also where the file system has no links."""
    if not links:
        refuse = OSError(errno.EPERM, "Operation not permitted")
        monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(refuse))
    contents = [bytes([index]) * 50_000 for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda content: write_new(numbered(tmp_path), content), contents))
    assert [path.read_bytes() for path in paths] == contents
    assert names(tmp_path) == sorted(f"{number}.txt" for number in range(1, 9))


def test_a_new_file_that_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    """Somebody who knows nothing of locks writes the name after it was found free."""
    real = os.path.lexists
    (tmp_path / "1.txt").write_text("there")
    monkeypatch.setattr(os.path, "lexists", lambda path: path.name != "1.txt" and real(path))
    assert write_new(numbered(tmp_path), b"new") == tmp_path / "2.txt"
    assert (tmp_path / "1.txt").read_text() == "there"


def test_a_new_file_on_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    code = (
        "import resource, sys; from pathlib import Path; from kws.common.files import write_new\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "try: write_new(iter([Path(sys.argv[1]) / 'a.wav']), bytes(2000))\n"
        "except OSError as error: print(error.filename)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == f"{tmp_path / 'a.wav'}\n"
    assert names(tmp_path) == []


def test_what_a_killed_writer_of_a_new_file_left_is_cleared(tmp_path):
    left = tmp_path / "1.txt.partial/work"
    left.mkdir(parents=True)
    (left.parent / ".lock").touch()
    (left / "1.txt").write_text("half")
    assert write_new(numbered(tmp_path), b"new") == tmp_path / "1.txt"
    assert names(tmp_path) == ["1.txt"]


def test_a_table_comes_back_as_it_was_written(tmp_path):
    rows = [{"name": "Voz, una", "s": 3.5, "on": None}, {"name": "ñ", "s": 1e-9, "on": 0.25}]
    write_table(tmp_path / "t.csv", ["name", "s", "on"], rows)
    assert read_table(tmp_path / "t.csv", ("name",)) == rows


@pytest.mark.parametrize("content", ["s\nñ\n".encode("latin-1"), b"s\nthree\n", b"s\n1,2\n", b's\n"1\n'])
def test_what_is_no_table_of_numbers_is_one_line(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"t\.csv: no table of numbers \(.*\); remove it and run"):
        read_table(tmp_path / "t.csv")
