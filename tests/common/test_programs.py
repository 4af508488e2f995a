"""Other programs: limits on time and output, and nothing of what they print reaches a terminal as it is."""

import io
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.common.errors import UserError
from kws.common.programs import LOG_LINE, _Lines, last_line, plain, run


def python(code, timeout_s=30, **options):
    return run([sys.executable, "-c", code], timeout_s, **options)


def test_output_and_status_are_returned():
    done = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (done.out, done.err, done.code, done.ended, done.ok) == (b"out\n", b"err\n", 3, "exit", False)


def test_a_program_that_hangs_is_stopped_with_its_children():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])"
    assert python(code, timeout_s=0.5).ended == "timeout"


def test_a_program_that_ignores_the_first_signal_is_killed():
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(99)"
    assert python(code, timeout_s=1).ended == "timeout"


def test_a_program_that_prints_without_end_is_stopped():
    done = python("while True: print('x' * 65536)", limit=10**6)
    assert done.ended == "flood"
    assert len(done.out) <= 10**6


def test_a_child_that_outlives_its_parent_is_not_waited_for():
    code = "import subprocess; subprocess.Popen(['sleep', '5'], start_new_session=True); print('done')"
    done = python(code)
    assert (done.out, done.ended) == (b"done\n", "exit")


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(UserError, match="no-such-program: cannot be started"):
        run(["no-such-program"], 1)


def test_a_log_takes_both_streams_as_plain_lines_and_shows_them_as_they_come(tmp_path):
    code = (
        r"import sys; print('one\x1b[31m\x07'); print('10%\r20%', file=sys.stderr); sys.stdout.write('end')"
    )
    seen = []
    python(code, log=tmp_path / "log", show=seen.append)
    assert sorted(seen) == ["10%", "20%", "end", "one\\x07"]
    assert sorted((tmp_path / "log").read_text().splitlines()) == sorted(seen)


def test_a_line_without_end_is_cut_in_the_log_and_takes_no_time(tmp_path):
    code = "import sys; print('x' * 30_000_000 + chr(13)); print('after')"
    began = time.process_time()
    done = python(code, limit=64 * 2**20, log=tmp_path / "log")
    assert time.process_time() - began < 3, "14 s of computing where the line is joined anew with each chunk"
    assert done.ended == "exit"
    cut, after = (tmp_path / "log").read_text().splitlines()
    assert cut == "x" * LOG_LINE + f" ... and {30_000_000 - LOG_LINE} bytes more"
    assert after == "after"


@given(
    lines=st.lists(st.text("ab \u00f1\x1b\x07", min_size=1).map(str.encode)),
    size=st.integers(1, 9),
    end=st.booleans(),
)
def test_lines_are_the_same_however_they_come(lines, size, end):
    text = b"\r\n".join(lines) + b"\n" * end
    log, seen = io.StringIO(), []
    cutter = _Lines(log, seen.append)
    for start in range(0, len(text), size):
        cutter.add(text[start : start + size])
    cutter.end()
    assert seen == [plain(line) for line in lines]
    assert log.getvalue() == "".join(f"{line}\n" for line in seen)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_the_log_s_and_not_the_program_s():
    with pytest.raises(OSError, match="No space left") as caught:
        python("print('x' * 10**6)", log=Path("/dev/full"), limit=2**22)
    assert caught.value.filename == "/dev/full"


def test_input_comes_from_a_file_and_is_otherwise_empty(tmp_path):
    (tmp_path / "in").write_bytes(b"abc")
    code = "import sys; print(len(sys.stdin.read()))"
    assert python(code, stdin=tmp_path / "in").out == b"3\n"
    assert python(code).out == b"0\n"


@given(raw=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_nothing_in_plain_text_can_steer_a_terminal(raw):
    assert all(c.isprintable() or c in "\n\t" for c in plain(raw))
    assert "\n" not in last_line(raw)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[2J\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07after", "after"),
        (b"{0\r} skipped", "{0\\r} skipped"),
        ("\u202eevil".encode(), "\\u202eevil"),
        (b"\xff", "\ufffd"),
        ("━━ 100% ñ".encode(), "━━ 100% ñ"),
    ],
)
def test_escapes_go_and_controls_are_spelt_out(raw, text):
    assert plain(raw) == text
