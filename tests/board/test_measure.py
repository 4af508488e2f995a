"""The benchmark stage on a board: a real sshd on this machine, and a stand-in for the board's tool."""

import dataclasses
import io
import os
import re
import shutil
import subprocess
import tarfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axera import read, stage
from conftest import ROOT
from kws.board.inputs import folders, read_inputs, write_inputs
from kws.board.measure import measure, read_archive
from kws.board.ssh import Link, connect, find_link
from kws.common.errors import UserError
from kws.params.whole import load_params, load_target
from kws.runtime.inference import Classifier, accuracy
from standins.install import CMM, SSHD, install, serve

needs_sshd = pytest.mark.skipif(
    SSHD is None or not shutil.which("ssh"), reason="needs OpenSSH's sshd and ssh"
)
AX630C = load_target(ROOT / "conf", "ax630c").model_copy(update={"repeat": 120})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("b")) as found:
        yield found


@pytest.fixture
def board(server):
    """The board in good order, with nothing of an earlier test on it."""
    for path in server.standins.state.iterdir():
        if path.name != "stopped":
            path.unlink()
    (server.config.parent / "chip").write_text("AX630C_CHIP\0")
    yield server
    assert list(server.temporary.glob("kws.*")) == [], "everything of ours is gone"


@pytest.fixture
def compiled(project, board, monkeypatch):
    """A project whose models are compiled, and its board."""
    path = os.environ["PATH"]
    install(project / "standins", "pulsar2")
    assert stage("compile", "ax630c") is None
    shutil.rmtree(project / "standins/bin")
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    monkeypatch.setenv("KWS_SSH_CONFIG", str(board.config))
    monkeypatch.setenv("KWS_BOARD_AX630C", "board")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("repeat: 1000", "repeat: 120"))
    return project


def link(board, host="board", **changes):
    return dataclasses.replace(Link(host, "KWS_BOARD_AX630C", board.config), **changes)


@needs_sshd
def test_a_board_gives_times_and_the_answers_of_the_real_model(compiled, board):
    assert stage("benchmark", "ax630c") is None
    result = read("reports/benchmark/ax630c.json")
    params = load_params(compiled / "params.yaml")
    inputs, actual = read_inputs(compiled / "data/calib", (98, 64), params.labels)
    assert result["simulated"] is False
    assert result["accuracy"] == accuracy(Classifier(compiled / "models/kws.onnx").logits(inputs), actual)
    assert (result["top1_agreement"], result["accuracy_drop"]) == (1.0, 0.0)
    times = result["latency_ms"]
    assert 0 < times["min"] <= times["p5"] <= times["p50"] <= times["p95"] <= times["max"]
    assert "p99" not in times
    about = result["board"]
    assert (about["chip"], about["engine"], about["tool"]) == ("AX630C_CHIP", "2.6.3sp", "2.3.3sp")
    assert (about["model_type"], about["percentiles"], about["inputs_by_list"]) == ("Half", "descending", 6)


@needs_sshd
def test_three_hundred_inputs_run_through_one_call_with_equal_bits(compiled, board, tmp_path):
    inputs = np.random.default_rng(1).standard_normal((300, 1, 98, 64)).astype(np.float32)
    write_inputs(tmp_path / "calib", inputs, ["X"] * 300, ["x"] * 300)
    done = measure(link(board), compiled / "models/ax630c/kws.axmodel", tmp_path / "calib", 8, AX630C)
    expected = Classifier(compiled / "models/kws.onnx").logits(inputs)
    assert done.logits.tobytes() == expected.tobytes()
    assert done.listed == 300
    calls = board.standins.calls("ax_run_model")
    assert [("-l" in call) for call in calls] == [False, True]
    assert calls[0][calls[0].index("-w") :] == ["-w", "10", "-r", "120"]


@needs_sshd
def test_an_alias_named_as_the_target_is_enough(compiled, board, monkeypatch):
    monkeypatch.delenv("KWS_BOARD_AX630C")
    found = find_link("ax630c")
    assert (found.host, found.source) == ("ax630c", "the ssh alias ax630c")
    assert find_link("ax650n") is None
    monkeypatch.setenv("KWS_BOARD_AX630C", "none")
    assert find_link("ax630c") is None


@needs_sshd
def test_a_newer_tool_prints_real_percentiles(compiled, board):
    board.standins.go_wrong("ascending")
    assert stage("benchmark", "ax630c") is None
    result = read("reports/benchmark/ax630c.json")
    assert "p99" in result["latency_ms"]
    assert result["board"]["percentiles"] == "ascending"


@needs_sshd
def test_a_tool_that_runs_only_one_input_is_called_once_for_each(compiled, board, capsys):
    board.standins.go_wrong("last_only")
    assert stage("benchmark", "ax630c") is None
    says = "gave 1 of 6 outputs (5 skipped); running the others one by one"
    assert says in capsys.readouterr().err
    result = read("reports/benchmark/ax630c.json")
    assert (result["top1_agreement"], result["board"]["inputs_by_list"]) == (1.0, 1)


@needs_sshd
def test_windows_line_ends_make_the_tool_skip_as_the_original_saw(compiled, board):
    """The stand-in does what a bare getline does; the stage refuses such a list before it gets there."""
    (compiled / "list.txt").write_bytes(b"0\r\n1\r\n2")
    inputs = compiled / "data/calib/input"
    files = f"-i {inputs} -o {compiled}/out -l {compiled}/list.txt"
    tool = f"ax_run_model -m {compiled}/models/ax630c/kws.axmodel {files}"
    with connect(link(board)) as session:
        done = session.run(tool, 60)
    assert b"{0\r} does not has input folder" in done.out
    assert b"total 1/3. Done." in done.out
    assert [p.name for p in (compiled / "out").iterdir()] == ["2"]


@needs_sshd
@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (
            "load_error",
            "ended with exit status 255: [ERROR] Loading model {kws.axmodel} failed.; the usual cause",
        ),
        ("u16_error", "16-bit models are known to fail on engine 2.6.3sp"),
        ("no_memory", "the NPU's memory is short, mostly because StackFlow's services hold it; stop them"),
        ("crash", "ended with exit status 139: -----"),
        ("crash", "the engine crashed; users report this, and one cause is known, a tool of another version"),
        ("third_single", "with a single input ended with exit status 255: [ERROR] Loading model"),
        ("third_single", "loads twice and then no more until the board is rebooted"),
        ("binary", "ax_run_model printed no times"),
        ("huge", "the board's command printed without end"),
        ("short_output", "output 0: holds 28 bytes, expected 32"),
        ("nan", "output 0: holds NaN or infinity"),
        ("lost_output", "1 of 6 inputs have no output, the first of them 1"),
    ],
)
def test_a_failure_on_the_board_is_one_plain_line(compiled, board, mode, says):
    board.standins.go_wrong(mode)
    message = stage("benchmark", "ax630c")
    assert message.startswith("error: KWS_BOARD_AX630C: ")
    assert says in message
    assert message.isprintable()
    assert not (compiled / "reports").exists()


@needs_sshd
def test_a_model_that_does_not_load_a_third_time_needs_a_reboot(compiled, board):
    board.standins.go_wrong("third_start")
    assert stage("benchmark", "ax630c") is None, "two starts"
    assert "if it has loaded before, reboot the board" in stage("benchmark", "ax630c")
    (board.standins.state / "starts").unlink()
    assert stage("benchmark", "ax630c") is None, "rebooted"


@needs_sshd
def test_a_model_that_does_not_load_where_the_npus_memory_is_smaller_than_itself(compiled, board):
    (board.config.parent / "cmm").write_text(CMM.replace("remain=1026160KB", "remain=3KB"))
    board.standins.go_wrong("load_error")
    try:
        message = stage("benchmark", "ax630c")
    finally:
        (board.config.parent / "cmm").write_text(CMM)
    assert message.endswith("stop them while measuring: systemctl stop 'llm-*'")


@needs_sshd
def test_a_tool_that_hangs_is_given_up(compiled, board, monkeypatch):
    monkeypatch.setattr("kws.board.measure._SHORT_S", 2.0)
    monkeypatch.setattr("kws.board.measure._PER_INPUT_S", 0.0)
    monkeypatch.setattr("kws.board.measure._PER_CALL_S", 0.5)
    board.standins.go_wrong("hang")
    assert "ended with exit status 124" in stage("benchmark", "ax630c")


@needs_sshd
@pytest.mark.parametrize("mode", ["drop", "freeze"])
def test_a_connection_lost_in_the_middle_is_opened_again(compiled, board, mode):
    board.standins.go_wrong(mode)
    axmodel, calib = compiled / "models/ax630c/kws.axmodel", compiled / "data/calib"
    with pytest.warns(UserWarning, match="the connection was lost; trying again"):
        done = measure(link(board, alive_s=1), axmodel, calib, 8, AX630C)
    assert done.listed == 6
    assert (board.standins.state / f"once.{mode}").exists()


@needs_sshd
@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("unknown", "its host key is not known or has changed; log in once by hand"),
        ("changed", "its host key is not known or has changed"),
        ("keyless", "it refuses your key"),
        ("nobody.invalid", "its name is not known"),
    ],
)
def test_a_board_that_cannot_be_trusted_or_entered_is_not_tried_again(
    compiled, board, monkeypatch, host, says
):
    monkeypatch.setenv("KWS_BOARD_AX630C", host)
    message = stage("benchmark", "ax630c")
    assert message.startswith(f"error: KWS_BOARD_AX630C: cannot log in to {host}: ")
    assert says in message


@needs_sshd
def test_a_board_that_is_off_is_an_error_and_not_a_simulation(compiled, board):
    config = compiled / "off"
    config.write_text("Host board\n  HostName 127.0.0.1\n  Port 1\n")
    config.chmod(0o600)
    off = link(board, config=config, attempts=2)
    with (
        pytest.warns(UserWarning, match="trying again"),
        pytest.raises(UserError, match=r"no connection to board in 2 attempts \(.*refused\); check power"),
    ):
        measure(off, compiled / "models/ax630c/kws.axmodel", compiled / "data/calib", 8, AX630C)


@needs_sshd
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda b: (b.config.parent / "chip").write_text("AX650N_CHIP"),
            "chip is AX650N_CHIP, expected AX620 or",
        ),
        (lambda b: (b.standins.bin / "ax_run_model").rename(b.config.parent / "tool"), "has no ax_run_model"),
        (lambda b: script_df(b, "/dev/x 9 9 100 99% /"), "has 100 kB free, needed are"),
        (lambda b: script_df(b, r"\\033[2J; rm -rf / 0x99"), "has 0 kB free, needed are"),
    ],
)
def test_a_board_that_does_not_fit_is_left_alone(compiled, board, spoil, says):
    spoil(board)
    try:
        message = stage("benchmark", "ax630c")
    finally:
        (board.standins.bin / "df").unlink(missing_ok=True)
        if (board.config.parent / "tool").exists():
            (board.config.parent / "tool").rename(board.standins.bin / "ax_run_model")
    assert says in message
    assert message.isprintable()
    assert board.standins.calls("ax_run_model") == []


@needs_sshd
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_model_too_new_for_the_boards_engine_is_not_copied(compiled, board):
    """The library that answers is a real one, asked as the board's would be."""
    library = board.config.parent / "lib/libax_engine.so"
    library.parent.mkdir(exist_ok=True)
    code = 'const char *AX_ENGINE_GetVersion(void) { return "2.6.3sp"; }'
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=code.encode(), check=True)
    path = compiled / "models/ax630c/kws.axmodel"
    model = onnx.load(path)
    model.doc_string = model.doc_string.replace("4.2", "7.0")
    try:
        assert stage("benchmark", "ax630c") is None
        done = len(board.standins.calls("ax_run_model"))
        onnx.save(model, path)
        message = stage("benchmark", "ax630c")
    finally:
        library.unlink()
    assert "kws.axmodel is of Pulsar2 7.0, but the board's engine 2.6.3sp loads models of 4.2" in message
    assert len(board.standins.calls("ax_run_model")) == done


@needs_sshd
def test_a_model_for_another_chip_is_not_copied(compiled, board):
    install(compiled / "standins", "pulsar2")
    os.environ["PATH"] = f"{compiled / 'standins/bin'}:{os.environ['PATH']}"
    assert stage("compile", "ax650n") is None
    shutil.copyfile(compiled / "models/ax650n/kws.axmodel", compiled / "models/ax630c/kws.axmodel")
    assert "is for AX650 in mode NPU1, expected AX620E; compile it" in stage("benchmark", "ax630c")
    assert board.standins.calls("ax_run_model") == []


def script_df(board, line):
    path = board.standins.bin / "df"
    path.write_text(f"#!/bin/sh\nprintf 'header\\n{line}\\n'\n")
    path.chmod(0o755)


@needs_sshd
def test_one_connection_serves_the_whole_run(compiled, board):
    log = board.config.parent / "sshd.log"
    before = log.read_text().count("Accepted publickey")
    assert stage("benchmark", "ax630c") is None
    assert log.read_text().count("Accepted publickey") == before + 1


@pytest.mark.parametrize("host", ["-oProxyCommand=id", "a b", "a;b", "$(id)", "ssh://-x", "a\nb"])
def test_a_host_that_is_none_is_refused(host):
    with pytest.raises(UserError, match=r"KWS_BOARD_AX650N: .* is no host"):
        find_link("ax650n", {"KWS_BOARD_AX650N": host})


def test_ssh_never_asks_and_never_trusts_anew():
    command = Link("board", "test").command()
    options = dict(value.split("=", 1) for flag, value in pairwise(command) if flag == "-o")
    assert (options["BatchMode"], options["StrictHostKeyChecking"]) == ("yes", "yes")
    assert int(options["ConnectTimeout"]) > 0
    assert int(options["ServerAliveInterval"]) > 0
    assert command[-2:] == ["--", "board"]


def archive(**members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def test_only_wanted_outputs_are_taken_from_an_archive():
    raw = archive(
        **{"output/0/output.bin": b"a", "/etc/passwd": b"b", "../x": b"c", "output/7/output.bin": b"d"}
    )
    assert read_archive(raw, ["0", "1"], "board") == {"0": b"a"}
    link_ = io.BytesIO()
    with tarfile.open(fileobj=link_, mode="w") as tar:
        member = tarfile.TarInfo("output/0/output.bin")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    assert read_archive(link_.getvalue(), ["0"], "board") == {}


@given(
    st.binary(max_size=600)
    | st.tuples(st.integers(0, 2047), st.binary(min_size=1, max_size=40)).map(
        lambda at: (raw := archive(**{"output/0/output.bin": b"abcd"}))[: at[0]] + at[1] + raw[at[0] :]
    )
)
def test_a_broken_archive_is_an_error_or_read_in_part(raw):
    try:
        outputs = read_archive(raw, ["0"], "board")
    except UserError as error:
        assert re.match("board: the board's outputs cannot be read as a tar archive", str(error))
    else:
        assert set(outputs) <= {"0"}


def test_the_list_names_each_input_once(tmp_path):
    write_inputs(tmp_path, np.zeros((3, 1, 98, 64), np.float32), ["A"] * 3, ["a"] * 3)
    assert folders(Path(tmp_path / "list.txt")) == ["0", "1", "2"]
