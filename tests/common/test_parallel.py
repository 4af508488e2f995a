"""Blocks over processes: in order, whatever starts the workers, and nothing left when something dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kws.common import parallel
from kws.common.errors import UserError
from kws.common.parallel import map_blocks

HERE = Path(__file__).parent
PROGRAM = "import sys; sys.path[:0] = {paths!r}; import test_parallel as t; t.{call}"


def squares(indices: range) -> tuple[int, list[int]]:
    return os.getpid(), [index**2 for index in indices]


def slow(indices: range) -> int:
    os.write(1, f"{os.getpid()}\n".encode())
    time.sleep(60)
    return len(indices)


def die(indices: range) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wrong(indices: range) -> None:
    raise UserError(f"block {indices.start} is wrong")


def in_order() -> None:
    found = list(map_blocks(squares, 200, 5))
    assert [value for _, block in found for value in block] == [index**2 for index in range(200)]
    pids = {pid for pid, _ in found}
    assert os.getpid() not in pids
    assert len(pids) <= 2


def killed() -> None:
    with pytest.raises(UserError, match=r"a worker was killed, .* set KWS_WORKERS=1"):
        list(map_blocks(die, 32, 1))


def raised() -> None:
    with pytest.raises(UserError, match="block 0 is wrong"):
        list(map_blocks(wrong, 32, 1))


PROMISES = [in_order, killed, raised]


@pytest.mark.parametrize("promise", PROMISES)
def test_workers_that_are_copies_keep_the_order_and_tell_what_went_wrong(promise):
    call = PROGRAM.format(paths=[str(HERE.parents[1]), str(HERE)], call=f"{promise.__name__}()")
    environment = os.environ | {"KWS_WORKERS": "2", "OPENBLAS_NUM_THREADS": "1"}
    checked = f"import kws.common.parallel as p; assert p._has_one_thread(); {call}"
    done = subprocess.run([sys.executable, "-c", checked], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("promise", PROMISES)
def test_workers_that_are_new_interpreters_do_the_same(promise, monkeypatch, tmp_path):
    monkeypatch.setenv("KWS_WORKERS", "2")
    monkeypatch.setattr(parallel, "THREADS", tmp_path / "none")
    promise()


def test_new_interpreters_are_not_started_for_a_handful(monkeypatch, tmp_path):
    monkeypatch.setattr(parallel, "THREADS", tmp_path / "none")
    monkeypatch.setenv("KWS_WORKERS", "4")
    assert {pid for pid, _ in map_blocks(squares, 7, 1)} == {os.getpid()}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_with_the_process_that_started_them():
    call = PROGRAM.format(paths=[str(HERE.parents[1]), str(HERE)], call="busy()")
    environment = os.environ | {"KWS_WORKERS": "2", "OPENBLAS_NUM_THREADS": "1"}
    parent = subprocess.Popen(
        [sys.executable, "-c", call], stdout=subprocess.PIPE, text=True, env=environment
    )
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(alive, pids))
    assert parent.pid not in pids


def busy() -> None:
    list(map_blocks(slow, 4, 1))


def test_finding_words_starts_no_thread_beside_which_workers_could_not_be_forked():
    code = (
        "import stages, numpy as np; from kws.common.parallel import _has_one_thread;"
        "from kws.recordings.word import find_word;"
        "find_word(np.random.default_rng(0).standard_normal(16000).astype('float32'), 16000, 1.0);"
        "print(_has_one_thread())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HERE.parents[1])
    assert done.stdout.strip() == "True", done.stderr
