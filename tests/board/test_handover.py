"""What goes to somebody's board and what comes back, with a stand-in for the board's tool."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import time

import pytest

from axera import stage
from conftest import ROOT
from docs import handover
from kws.board.results import examine_results
from kws.cli import app
from standins.install import install, script


def kws(monkeypatch, capsys, *arguments):
    """Exit status or message of `kws`, and what it prints."""
    monkeypatch.setattr("sys.argv", ["kws", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        app()
    return exit_.value.code, capsys.readouterr().out


def pack(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["handover", *map(str, arguments)])
    handover.main()


@pytest.fixture(scope="module")
def compiled(made_project, tmp_path_factory):
    """A project whose models are compiled; not to be changed."""
    folder = tmp_path_factory.mktemp("compiled") / "project"
    shutil.copytree(made_project, folder)
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("repeat: 1000", "repeat: 120"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["stage"])
        patch.setattr("warnings.showwarning", None)
        patch.setenv("PATH", str(install(folder / "standins", "pulsar2").bin))
        patch.setenv("KWS_STANDIN_STATE", str(folder / "standins/state"))
        patch.delenv("KWS_CONTAINER", raising=False)
        assert stage("compile", "ax630c") is None and stage("compile", "ax650n") is None
    return folder


class Board:
    """Somebody's board: a folder, the tool, and a chip; none of this project's Python."""

    def __init__(self, folder):
        self.folder, self.standins = folder, install(folder, "ax_run_model")
        self.chip("AX630C_CHIP\0")

    def chip(self, name):
        (self.folder / "chip").write_text(name)
        shown = f'[ "$1" = /proc/ax_proc/chip_type ] && exec /bin/cat {self.folder}/chip'
        script(self.standins.bin / "cat", f'{shown}\nexec /bin/cat "$@"')

    def run(self, *arguments):
        """Run the script as its reader is told to; return the exit status, what it says and the results."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr, self.results

    @property
    def results(self):
        return self.folder / "kws-board/results.tar"

    def command(self, *arguments):
        return ["/bin/sh", str(self.folder / "kws-board/run.sh"), *arguments]

    @property
    def environment(self):
        return {
            "PATH": f"{self.standins.bin}:/usr/bin:/bin",
            "KWS_STANDIN_STATE": str(self.standins.state),
            "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.8 22",
        }


def unpacked(compiled, folder):
    """A board on which the archive is unpacked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(compiled)
        pack(patch, folder / "out.tar.gz")
    (folder / "there").mkdir()
    with tarfile.open(folder / "out.tar.gz") as tar:
        tar.extractall(folder / "there", filter="data")
    return Board(folder / "there")


@pytest.fixture
def board(compiled, tmp_path):
    return unpacked(compiled, tmp_path)


@pytest.fixture(scope="module")
def whole(compiled, tmp_path_factory):
    """The bytes that came back from a board where all went well."""
    return unpacked(compiled, tmp_path_factory.mktemp("w")).run()[2].read_bytes()


@pytest.fixture
def results(whole, tmp_path):
    (tmp_path / "results.tar").write_bytes(whole)
    return tmp_path / "results.tar"


def lines(archive):
    return {check.name: check for check in examine_results(archive)}


def test_a_board_answers_every_open_question(board, monkeypatch, capsys):
    code, said, results = board.run()
    assert code == 0, said
    assert f"Bring back {results}" in said
    status, printed = kws(monkeypatch, capsys, "doctor", "--from", results)
    assert status == 0, printed
    assert "ok      chip            AX630C_CHIP\n" in printed
    assert "ok      engine          2.6.3sp\n" in printed
    assert re.search(r"ok      ax_run_model    /.*/ax_run_model 2\.3\.3sp\n", printed)
    assert "ok      model           ax630c, AX620E NPU1, Pulsar2 4.2, int8\n" in printed
    assert "ok      loads           three times in a row" in printed
    assert re.search(r"ok      times           min [\d.]+, mean [\d.]+, .*p95 [\d.]+.* ms\n", printed)
    assert "ok      answers         100.0% as the float model's, cosine 1.0000; right are" in printed
    assert "ok      list            one call with a list gives 6 of 6 answers\n" in printed
    assert "ok      line ends       a list of three with Windows line ends gives 0 answers" in printed
    assert "ok      type            Half for NPU1, vnpu Disable\n" in printed
    assert "ok      percentiles     taken from times in descending order\n" in printed
    page = (ROOT / "docs/board.md").read_text()
    assert all(f"`{name}`" in page for name in lines(results)), "each line is explained"


def test_nothing_that_comes_back_says_where_the_board_is(board):
    _, _, results = board.run()
    content = results.read_bytes()
    assert b"192.0.2" not in content and os.uname().nodename.encode() not in content


def test_the_archive_has_the_same_bytes_each_time_and_names_nobody(compiled, tmp_path, monkeypatch):
    monkeypatch.chdir(compiled)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pack(monkeypatch, tmp_path / name / "x.tar.gz")
    with tarfile.open(tmp_path / "a/x.tar.gz") as first, tarfile.open(tmp_path / "b/x.tar.gz") as second:
        for one, other in zip(first, second, strict=True):
            assert one.get_info() == other.get_info() and (one.uid, one.uname) == (0, "")


def test_the_chip_chooses_the_model_or_else_its_reader(board):
    board.chip("AX650N_CHIP\0")
    code, _, results = board.run()
    assert code == 0 and "ax650n, AX650" in lines(results)["model"].says
    board.chip("")
    code, said, results = board.run()
    assert code == 1 and "sh run.sh TARGET, one of: ax630c ax650n" in said
    assert "none was run; the script's last words: chip ''" in lines(results)["model"].says
    code, _, results = board.run("ax630c")
    assert code == 0 and lines(results)["chip"].says == "does not say"
    board.chip("AX630C")
    _, _, results = board.run("ax650n")
    assert str(lines(results)["chip"]) == "missing chip            AX630C, expected AX650 or AX8850"


@pytest.mark.parametrize(
    ("mode", "name", "says"),
    [
        (
            "load_error",
            "loads",
            "start 1 of 3: ax_run_model ended with exit status 255: [ERROR] Load",
        ),
        ("load_error", "times", "was not run; the script's last words: the model does not run here"),
        ("u16_error", "loads", "16-bit models are known to fail"),
        ("binary", "times", "ax_run_model printed no times"),
        ("short_output", "answers", "output 0: holds 28 bytes, expected 32"),
        ("nan", "answers", "output 0: holds NaN or infinity"),
        ("lost_output", "answers", "1 of 6 inputs have no output, the first of them 1"),
    ],
)
def test_what_fails_on_the_board_comes_back_as_a_line(board, mode, name, says, monkeypatch, capsys):
    board.standins.go_wrong(mode)
    code, said, results = board.run()
    knows = mode in ("load_error", "u16_error", "binary", "lost_output")  # others only who reads the results
    assert (code == 1) == ("although something failed" in said) == knows
    check = lines(results)[name]
    assert not check.ok and says in check.says
    status, printed = kws(monkeypatch, capsys, "doctor", "--from", results)
    assert status == 1 and "\x1b" not in printed


def test_a_tool_that_runs_one_input_only_is_called_for_each(board):
    board.standins.go_wrong("last_only")
    code, _, results = board.run()
    found = lines(results)
    assert code == 0 and "gives 1 of 6 answers" in found["list"].says
    assert "100.0% as the float model's" in found["answers"].says


def test_a_run_that_is_stopped_by_hand_still_brings_back_what_it_has(board):
    board.standins.go_wrong("hang")
    process = subprocess.Popen(
        board.command(), env=board.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stdout:
        if line.startswith("list: "):
            break
    while not (board.folder / "kws-board/pid").is_file():
        time.sleep(0.05)
    process.terminate()
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "Bring back" in said
    found = lines(board.results)
    assert found["times"].ok
    assert found["answers"].says == "was not run; the script's last words: stopped by hand"


def test_a_board_without_the_tool_says_so(board):
    (board.standins.bin / "ax_run_model").unlink()
    code, said, results = board.run()
    assert code == 1 and "no ax_run_model on PATH" in said
    assert str(lines(results)["ax_run_model"]) == "missing ax_run_model    not on the board"


def test_a_model_that_was_damaged_on_the_way_is_known(board):
    with (board.folder / "kws-board/ax630c/kws.axmodel").open("ab") as file:
        file.write(b"\0")
    _, _, results = board.run()
    assert "the board's copy is damaged" in lines(results)["model"].says


def test_a_truncated_archive_is_one_line(whole, results, monkeypatch, capsys):
    for length in (0, 100, 512, 10_240, len(whole) // 1024 * 512, len(whole) - 1):
        results.write_bytes(whole[:length].rstrip(b"\0") if length % 512 else whole[:length])
        code, printed = kws(monkeypatch, capsys, "doctor", "--from", results)
        assert code == f"error: {results}: cut short, or not the results.tar that run.sh wrote; copy it again"
        assert not printed


def rewritten(archive, change):
    """Change the handover.json of an archive of results."""
    with tarfile.open(archive) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}
    files["results/handover.json"] = change(files["results/handover.json"])
    with tarfile.open(archive, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: b"{" * 9, "handover.json is not what was packed"),
        (lambda text: b"[" * 200_000, "handover.json is not what was packed"),
        (lambda text: json.dumps(json.loads(text) | {"inputs": ["../x"] * 6}), "something else than numbers"),
        (lambda text: json.dumps(json.loads(text) | {"labels": ["A"]}), "a label that is not in labels"),
        (lambda text: json.dumps(json.loads(text) | {"float_logits": []}), "not of one length"),
        (lambda text: b"x" * 2**20, "holds no results/handover.json"),
    ],
)
def test_facts_that_somebody_changed_are_refused(results, change, says, monkeypatch, capsys):
    rewritten(results, lambda text: c if isinstance(c := change(text), bytes) else c.encode())
    code, _ = kws(monkeypatch, capsys, "doctor", "--from", results)
    assert code.startswith(f"error: {results}: ") and says in code and code.isprintable()


def test_an_archive_of_something_else_or_without_end_is_one_line(tmp_path, monkeypatch, capsys):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(ROOT / "LICENSE", "../LICENSE")
    code, _ = kws(monkeypatch, capsys, "doctor", "--from", path)
    assert code == f"error: {path}: holds no results/handover.json; is it what run.sh wrote?"
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 0
    path.write_bytes(header.tobuf() * 20_000 + bytes(1024))
    code, _ = kws(monkeypatch, capsys, "doctor", "--from", path)
    assert code.startswith(f"error: {path} cannot be read as a tar archive")
    with path.open("wb") as file:
        file.truncate(2**40)
    code, _ = kws(monkeypatch, capsys, "doctor", "--from", path)
    assert "longer than the" in code
    code, _ = kws(monkeypatch, capsys, "doctor", "ax630c", "--from", path)
    assert code == "error: ax630c: --from reads an archive alone; leave it out"


def test_without_compiled_models_nothing_is_written(project, monkeypatch, tmp_path):
    command = [str(ROOT / ".venv/bin/python"), "-m", "docs.handover", str(tmp_path / "x.tar.gz")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: models/ax630c/kws.axmodel is missing or empty")
    assert not (tmp_path / "x.tar.gz").exists()
