"""`kws decode` and `kws doctor`: what a board's outputs mean, and what is missing to get some."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from axera import stage
from conftest import ROOT
from kws.board.decode import decode, score
from kws.board.doctor import examine
from kws.cli import app
from kws.common.errors import UserError
from kws.params.whole import load_params, load_target
from standins.install import SSHD, install, serve

LABELS = ["ACOPLAR", "CANCELAR", "CONTINUAR", "FONDO", "LEVANTADO", "PRINCIPAL", "REPETIR", "SALIR"]
REAL = bytes.fromhex("94343d41 fa0f2bc0 60d1783e 043fb0bf c6c606c0 d42491c0 20fbc4bf 70d178bf")
"""What an AX630C wrote for a recording of ACOPLAR."""


@pytest.fixture
def output(tmp_path):
    (tmp_path / "output.bin").write_bytes(REAL)
    return tmp_path / "output.bin"


def test_the_bytes_of_a_real_board_mean_acoplar(output):
    decoded = decode(output, LABELS)
    assert decoded.label == "ACOPLAR"
    assert list(decoded.probabilities.values()) == pytest.approx(
        [0.999983, 0.000001, 0.000009, 0.000002, 0.000001, 0.000000, 0.000002, 0.000003], abs=1e-6
    )
    assert decoded.logits["ACOPLAR"] == 11.825336456298828
    assert decoded.logits["PRINCIPAL"] == -4.535745620727539


def test_probabilities_are_read_as_they_are_and_logits_are_not_taken_for_them(output):
    with pytest.raises(UserError, match="its values are not probabilities"):
        decode(output, LABELS, probabilities=True)
    np.array([0.25, 0.75], "<f4").tofile(output)
    decoded = decode(output, ["SI", "NO"], probabilities=True)
    assert (decoded.label, decoded.probabilities, decoded.logits) == ("NO", {"SI": 0.25, "NO": 0.75}, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds 0 bytes, expected 32"),
        (REAL[:-1], "holds 31 bytes"),
        (b"\xff" * 32, "holds NaN or infinity"),
    ],
)
def test_an_output_that_is_none_is_named(output, content, says):
    output.write_bytes(content)
    with pytest.raises(UserError, match=f"output.bin: {says}"):
        decode(output, LABELS)


def folder(tmp_path, answers, labels):
    (tmp_path / "labels.csv").write_text(
        "index,label,file\n" + "".join(f"{i},{x},a\n" for i, x in enumerate(labels))
    )
    for index, answer in answers.items():
        (tmp_path / f"out/{index}").mkdir(parents=True)
        np.eye(2, dtype="<f4")[answer].tofile(tmp_path / f"out/{index}/output.bin")
    return tmp_path / "out", tmp_path / "labels.csv"


def test_a_folder_gives_accuracy_and_confusion_and_a_missing_output_is_wrong(tmp_path):
    result = score(*folder(tmp_path, {0: 0, 1: 1, 2: 0}, ["SI", "NO", "NO", "SI"]), ["SI", "NO"])
    assert (result.n, result.missing, result.accuracy) == (4, 1, 0.5)
    assert result.confusion == {"SI": {"SI": 1, "NO": 0}, "NO": {"SI": 1, "NO": 1}}


def test_a_folder_or_table_that_does_not_fit_is_named(tmp_path):
    out, table = folder(tmp_path, {0: 0}, ["SI"])
    with pytest.raises(UserError, match=r"labels\.csv, line 2: label 'SI', expected one of A B"):
        score(out, table, ["A", "B"])
    with pytest.raises(UserError, match=r"holds no <index>/output\.bin"):
        score(tmp_path / "nothing", table, ["SI", "NO"])
    for content, message in (
        (b"", "expected the columns index,label"),
        (b"index,label\n", "has no rows"),
        (b"index,label\n0\n", "line 2: has no label; expected the columns"),
        (b"index,label\n0,SI\n1,NO\n0,SI\n", "line 4: index 0 stands in line 2 already"),
        (b"index,label\n../../x,SI\n", r"line 2: index '\.\./\.\./x', expected a number"),
        (b"\x7fELF\xff\0\1", "of a table in UTF-8"),
        (b"index,label\n0," + b"x" * 200_000, "larger than field limit"),
    ):
        table.write_bytes(content)
        with pytest.raises(UserError, match=message):
            score(out, table, ["SI", "NO"])


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    """Both are sparse: 40 GB that take no room on the disk, and none in memory."""
    out, table = folder(tmp_path, {0: 0}, ["SI"])
    os.truncate(out / "0/output.bin", 40 * 10**9)
    with pytest.raises(UserError, match=r"output\.bin: longer than the \d+ bytes"):
        score(out, table, ["SI", "NO"])
    os.truncate(table, 40 * 10**9)
    with pytest.raises(UserError, match=r"labels\.csv: longer than the \d+ bytes"):
        score(out, table, ["SI", "NO"])


def test_what_moves_the_cursor_does_not_reach_the_terminal(tmp_path, monkeypatch, capsys):
    """Cells, names of files and labels come from elsewhere."""
    hostile = tmp_path / "a\x1b[2Jb\nc.bin"
    hostile.write_bytes(bytes(8))
    assert kws(monkeypatch, "decode", hostile, "--labels", "SI,NO") == 0
    assert f"{tmp_path}/ab\\nc.bin" in capsys.readouterr().out
    out, table = folder(tmp_path, {0: 0}, ["\x1b]0;title\x07\x9b1mSI"])
    message = kws(monkeypatch, "decode", out, "--labels-csv", table, "--labels", "SI,NO")
    assert message.isprintable()
    assert kws(monkeypatch, "decode", out, "--labels", "SI,\x1b[31mNO").isprintable()
    message = kws(monkeypatch, "decode", tmp_path / "none\x1b[31m.bin")
    assert message == f"error: {tmp_path}/none.bin: no such file or folder; check the path"


def kws(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["kws", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        app()
    return exit_.value.code


def test_the_command_prints_tables_or_json(output, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert kws(monkeypatch, "decode", output) == 0
    assert "> ACOPLAR        11.8253  0.999983" in capsys.readouterr().out
    assert kws(monkeypatch, "decode", output, "--json", "--labels", ",".join(LABELS)) == 0
    (found,) = json.loads(capsys.readouterr().out)["outputs"]
    assert found["probabilities"]["ACOPLAR"] == 0.999983
    assert kws(monkeypatch, "decode", output, "--labels", "SI,NO").startswith(
        f"error: {output}: holds 32 bytes"
    )


def test_the_command_scores_a_folder(tmp_path, monkeypatch, capsys):
    out, table = folder(tmp_path, {0: 0, 1: 0}, ["SI", "NO"])
    assert kws(monkeypatch, "decode", out, "--labels-csv", table, "--labels", "SI,NO") == 0
    assert "accuracy 50.0% of 2 inputs, 0 without an output" in capsys.readouterr().out
    assert kws(monkeypatch, "decode", out, "--labels-csv", table, "--labels", "SI,NO", "--json") == 0
    assert json.loads(capsys.readouterr().out)["folders"][0]["accuracy"] == 0.5


def report(name="ax630c"):
    target = load_target(ROOT / "conf", name)
    return {check.name: check for check in examine(name, target, ROOT / "nothing.json", os.environ)}


def test_the_doctor_says_what_is_missing_and_how_to_get_it(project, monkeypatch, capsys):
    (project / "conf").symlink_to(ROOT / "conf")
    assert kws(monkeypatch, "doctor", "ax630c") == 1
    printed = capsys.readouterr().out
    assert "missing docker          docker is not on PATH; see docs/pulsar2.md" in printed
    assert "none    board           not named, so results are simulated; KWS_BOARD_AX630C=" in printed
    assert kws(monkeypatch, "doctor", "toaster").startswith("error: toaster: no Axera target")


def test_the_doctor_is_content_with_an_image_and_no_board(project, monkeypatch, capsys):
    (project / "conf").symlink_to(ROOT / "conf")
    docker = install(project / "standins", "docker")
    assert kws(monkeypatch, "doctor", "ax630c") == 0
    assert "ok      docker          pulsar2:4.2 is 0123456789ab" in capsys.readouterr().out
    docker.go_wrong("no_image")
    assert "docker has no image pulsar2:4.2" in str(report()["docker"])


def test_the_doctor_tries_the_folders_of_a_job_in_a_container(project):
    docker = install(project / "standins", "docker")
    assert str(report()["folders"]) == "ok      folders         docker reads and writes folders of a job here"
    (tried,) = [call for call in docker.calls("docker") if call[0] == "run"]
    assert tried[-2:] == ["/data/in/file", "/data/out/copy"]
    assert "--network=none" in tried
    assert not list(project.glob("*.partial")), "and leaves nothing"


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("denied", "/data/out/copy': Permission denied; with a Docker that runs without root set KWS_"),
        (
            "no_mount",
            "a container ended with exit status 125: docker: Error response from daemon: mounts denied",
        ),
        ("elsewhere", "a container wrote a file that is not here: its daemon sees another machine's folders"),
        pytest.param(
            "other_owner",
            "belong to user 12345, not to you; set KWS_CONTAINER_USER=image",
            marks=pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away"),
        ),
    ],
)
def test_a_container_that_cannot_use_the_folders_is_one_line(project, mode, says):
    docker = install(project / "standins", "docker")
    docker.go_wrong(mode)
    check = report()["folders"]
    assert (check.ok, check.needed) == (False, True)
    assert says in check.says
    assert "\n" not in str(check)
    assert not list(project.glob("*.partial"))


def test_the_doctor_tries_the_container_as_the_stages_run_it(project, monkeypatch):
    docker = install(project / "standins", "docker")
    monkeypatch.setenv("KWS_CONTAINER_USER", "image")
    assert report()["folders"].ok
    runs = [call for call in docker.calls("docker") if call[0] == "run"]
    assert [call[call.index("--entrypoint") + 1] for call in runs] == ["cp", "chown"]
    assert not any("--user" in call for call in runs)
    monkeypatch.setenv("KWS_CONTAINER_USER", "root")
    with pytest.raises(UserError, match="KWS_CONTAINER_USER: is 'root', expected caller or image"):
        report()


@contextmanager
def stackflow():
    """A program that bears the name of one of StackFlow's services."""
    code = "open('/proc/self/comm', 'w').write('llm_sys'); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        process.stdout.readline()
        yield
        process.communicate(b"\n")


@pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's sshd")
def test_the_doctor_visits_the_board(project, tmp_path, monkeypatch):
    install(project / "standins", "docker")
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    (tmp_path / "s").mkdir()
    with serve(tmp_path / "s") as board:
        monkeypatch.setenv("KWS_SSH_CONFIG", str(board.config))
        monkeypatch.setenv("KWS_BOARD_AX630C", "board")
        monkeypatch.setenv("KWS_BOARD_AX650N", "board")
        checks = report()
        assert {
            "docker",
            "folders",
            "disk",
            "ssh",
            "board",
            "ax_run_model",
            "chip",
            "board's disk",
        } <= checks.keys()
        assert all(check.ok for check in checks.values() if check.needed)
        assert checks["NPU memory"].says == "1002 MB free"
        with stackflow():
            says = report()["NPU memory"].says
            assert says.startswith("1002 MB free; StackFlow runs (llm_sys): stop it while measuring")
        assert (
            str(report("ax650n")["chip"]) == "missing chip            AX630C_CHIP, expected AX650 or AX8850"
        )
        stale = project / "reports.json"
        stale.write_text('{"simulated": true}')
        again = list(examine("ax630c", load_target(ROOT / "conf", "ax630c"), stale, os.environ))[-1]
        assert again.says.endswith("there; dvc repro -f -s benchmark@ax630c")
        monkeypatch.setenv("KWS_BOARD_AX630C", "unknown")
        assert "its host key is not known" in str(report()["board"])


def test_params_choose_targets_by_name(project):
    targets = load_params(project / "params.yaml").target
    with pytest.raises(
        UserError, match=r"target\.toaster: no such target, expected one of host, ax630c, ax650n"
    ):
        targets.chosen("toaster")
    assert stage("compile", "toaster").startswith("error: target.toaster: no such target")
