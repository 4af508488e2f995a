"""The README and the docs at their word: the commands they give work, and so does one's first use."""

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import soundfile
import typer
from dvc.cli.parser import get_main_parser
from dvc.utils.hydra import get_hydra_sweeps
from ruamel.yaml import YAML

from clones import call, make_clone
from conftest import ROOT, SEEDS
from kws.cli import cli
from kws.params.compose import compose

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "data/README.md"]
OURS = ("dvc", "kws", "make", "python", "pytest", "uv")
FOREIGN = {"apt", "arecord", "cluster/share.sh", "docker", "env", "export", "git", "python3", "jq", "sbatch"}
FOREIGN |= {"sky", "socat", "scp", "source", "ssh"}
"""Programs in the docs' shell blocks that the set-up need not bring."""
INLINE = re.compile(rf"`((?:{'|'.join(OURS)}|source)\s[^`]*|pytest|-S\s[^`]*)`")
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
BARE = "/usr/bin:/bin"
"""PATH of a computer on which nobody has installed uv."""


def split(text: str) -> list[list[str]]:
    """The commands of a line of shell, each a list of words; comments are left out."""
    words = shlex.shlex(text, posix=True, punctuation_chars="&|;")
    words.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("&|;"):
            found.append([])
        else:
            found[-1].append(word)
    return [command for command in found if command]


def blocks(page: Path) -> list[list[str]]:
    """The commands of a page's shell blocks, in their order."""
    lines = (line for block in SHELL.findall(page.read_text()) for line in block.splitlines())
    return [command for line in lines for command in split(line)]


def sentences(page: Path) -> list[list[str]]:
    """The commands that a page gives within sentences, and its bare overrides as commands."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = [" ".join(words.split()) for words in INLINE.findall(text)]
    whole = [f"dvc exp run {words}" if words.startswith("-S") else words for words in found]
    return [
        split(words.replace("-S target.ax", "-S target=[host,ax630c] -S target.ax", 1))[0] for words in whole
    ]


COMMANDS = sorted(
    {
        (page.relative_to(ROOT).as_posix(), *command)
        for page in PAGES
        for command in blocks(page) + sentences(page)
    }
)


def parse_kws(words: list[str]) -> None:
    """End in an error where `kws` has no such command or option."""
    group = typer.main.get_command(cli)
    context = group.make_context("kws", list(words))
    name, command, rest = group.resolve_command(context, words)
    if rest:  # without any it may be a sentence about the command
        command.make_context(name, rest, parent=context)


def parse_dvc(words: list[str], folder: Path) -> None:
    """End in an error where DVC has no such command or option, conf/ no such key, dvc.yaml no such stage."""
    given = get_main_parser().parse_args(words)
    conf = folder / "conf"
    shutil.copytree(ROOT / "conf", conf)
    (conf / "experiment/my.yaml").write_text("# @package _global_\nlabels: [LUZ, FONDO]\n")  # by `kws new my`
    changes = [change for change in getattr(given, "set_param", []) if not set("…<") & set(change)]
    for overrides in get_hydra_sweeps({"params.yaml": changes}):
        compose(conf, folder / "params.yaml", overrides["params.yaml"])
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    targets = [] if words[0] == "plots" else getattr(given, "targets", None) or []
    assert {target.split("@")[0] for target in targets} <= set(stages)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_is_one_that_works_with_and_without_uv(command, tmp_path):
    _, program, *words = command
    match program:
        case "kws":
            parse_kws(words)
        case "dvc":
            parse_dvc(words, tmp_path)
        case "dask":
            import_module(f"distributed.cli.dask_{words[0]}").main.make_context("dask", words[1:])
        case "make":
            subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True)
        case "python":
            assert words[0] == "-m"
            assert find_spec(words[1]), f"no module {words[1]}"
        case "pytest":
            assert not words
        case "uv":  # `uv run` is what only works where it was there before
            assert words[0] in ("sync", "pip")
        case _:
            assert program in FOREIGN


def test_the_docs_are_read_at_all():
    assert {command[1] for command in COMMANDS} >= {*OURS, "source", "docker"}
    assert len(COMMANDS) > 60


def test_the_first_commands_set_up_and_activate():
    assert blocks(ROOT / "README.md")[:2] == [["make", "repro"], ["source", ".venv/bin/activate"]]


def test_make_brings_uv_where_it_is_absent(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    plan = subprocess.check_output(["make", "-n", "repro"], cwd=tmp_path, env={"PATH": BARE}, text=True)
    *_, sync, repro = plan.splitlines()
    assert ".venv/bin/pip install --quiet uv" in plan
    assert sync.startswith(".venv/bin/uv sync ")
    assert repro == ".venv/bin/uv run --frozen dvc repro"


def test_make_says_which_python_it_needs(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    old = tmp_path / "old"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9); $2"\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "repro", f"PYTHON={old}"],
        cwd=tmp_path,
        env={"PATH": BARE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert (
        done.stderr.splitlines()[0]
        == f"error: {old} is older than 3.11; name another: make PYTHON=python3.11 repro"
    )
    assert not (tmp_path / ".venv").exists()


ACTIVATE = Path(sys.prefix) / "bin/activate"


@pytest.mark.skipif(not ACTIVATE.exists(), reason="these tests run outside of an environment")
def test_once_activated_all_programs_are_those_of_the_environment():
    use = "command -v python dvc kws pytest && kws --help && python -c 'import kws, rich'"
    script = f"source '{ACTIVATE}' && {use}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={"PATH": BARE, "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {Path(line).parent for line in done.stdout.splitlines()[:4]} == {ACTIVATE.parent}


def readme(*words: str) -> list[str]:
    """The README's first command with these words."""
    page = ROOT / "README.md"
    return next(command for command in blocks(page) + sentences(page) if set(words) <= set(command))


def small() -> list[str]:
    """The sizes of experiment=smoke, for a run that names another experiment."""

    def walk(values: dict, place: str = "") -> Iterator[str]:
        for key, value in values.items():
            if isinstance(value, dict):
                yield from walk(value, f"{place}{key}.")
            else:
                yield from ("-S", f"{place}{key}={value}")

    return list(walk(YAML(typ="safe").load((ROOT / "conf/experiment/smoke.yaml").read_text())))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return make_clone(tmp_path_factory)


def queue(clone: Path, *command: str) -> str:
    """Put an experiment into the queue; its name."""
    return re.search("'([a-z]+-[a-z]+)'", call(clone, *command).split("Queued experiment")[1])[1]


def results(clone: Path, names: list[str]) -> list[tuple[str, str]]:
    """Run what is queued and wait for it: the state of each and its log."""
    call(clone, "dvc", "queue", "start")
    for _ in range(600):
        table = call(clone, "dvc", "queue", "status")
        states = [re.search(rf"{name} .*?(\w+)$", table, re.MULTILINE)[1] for name in names]
        if not {"Queued", "Running"} & set(states):
            break
        time.sleep(0.5)
    return [
        (state, call(clone, "dvc", "queue", "logs", name)) for name, state in zip(names, states, strict=True)
    ]


def test_a_sweep_over_one_s_own_recordings_and_the_table_of_experiments(clone):
    """Queued experiments run in a copy of what git knows: other folders are missing there."""
    shutil.copytree(SEEDS / "SALIR", clone / "my/seeds/LUZ")
    shutil.copytree(SEEDS / "FONDO", clone / "my/seeds/FONDO")
    told = call(clone, *readme("kws", "new", "my"))
    one = [word.split(",")[0] for word in readme("dvc", "exp", "run", "--queue")]
    words = ("-S", "experiment=my", *small(), "augment@LUZ")
    assert "-S experiment=my --copy-paths my" in (ROOT / "README.md").read_text()
    assert "--copy-paths my -S experiment=my" in told
    queued = [queue(clone, *one, *words), queue(clone, *one, "--copy-paths", "my", *words)]
    call(clone, *re.search(r"git add .*my\.yaml", told)[0].split())
    queued.append(queue(clone, *one, *words))
    (state, log), *others = results(clone, queued)
    assert (state, "my/seeds" in log) == ("Failed", True), log
    assert [state for state, _ in others] == ["Success", "Success"], others
    call(clone, *readme("dvc", "exp", "run", "-n", "smoke"), "rirs")
    table = call(clone, "env", "COLUMNS=120", *readme("dvc", "exp", "show"))
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= 120
    for column in ("words", "near_misses", "recall", "fa_per_hour", "hours", "train.lr", "[smoke]", "Failed"):
        assert column in table


PEOPLE = ROOT.parent / "shared/data/people/bench"
LABELS = ("VOLVER", "MÚSICA", "PUERTA", "FONDO")
SAID = {"MÚSICA": "options", "PUERTA": "receive"}
"""The words of the recordings that stand in for two labels; REPETIR stands in for the third."""


@pytest.fixture(scope="module")
def own_words(clone):
    """`my/seeds`: a word by one person, two by another and background; `others`: words by others."""
    human = ROOT.parent / "shared/data/real/human_es"
    if not human.is_dir() or not PEOPLE.is_dir():
        pytest.skip("recordings by people are not on this machine")
    shutil.rmtree(clone / "my", ignore_errors=True)
    for label, folder in (("VOLVER", "REPETIR"), ("FONDO", "FONDO")):
        shutil.copytree(human / folder, clone / "my/seeds" / label)
    sound, rate = soundfile.read(PEOPLE / "arabic.ogg")
    with (PEOPLE / "bench.csv").open(encoding="utf-8") as table:
        takes = [row for row in csv.DictReader(table) if row["set"] == "arabic" and row["take"] == "0"]
    for label, word in SAID.items():
        first, *others = [row for row in takes if row["word"] == word]
        for row in (first, *others[:4]):
            folder = clone / ("my/seeds" if row is first else "others/words") / label
            folder.mkdir(parents=True, exist_ok=True)
            part = sound[int(float(row["start"]) * rate) : int(float(row["end"]) * rate)]
            soundfile.write(folder / f"{row['speaker']}.wav", part, rate)
    return clone


def first_use(clone: Path) -> str:
    """Do what the README says with one's own words, in small sizes: what a run says once it is through."""
    checked = call(clone, *readme("kws", "check", "my"))
    assert all(f"{label}/" in checked for label in LABELS)
    assert "my.yaml: 3 keywords, background FONDO" in call(clone, *readme("kws", "new", "my"))
    said = call(clone, *readme("dvc", "exp", "run", "experiment=my"), *small())
    assert "Traceback" not in said
    assert (clone / "reports/index.html").is_file()
    return said


def test_first_use_without_words_by_others(own_words):
    everything = first_use(own_words)
    *stages, said = everything.split("Running stage '")
    assert re.search(r"recall +unknown", said)
    assert "run with -S data.eval=my/eval" in said
    assert re.search(r"false accepts +\d", said)
    augment = next(stage for stage in stages if stage.startswith("augment@VOLVER"))
    assert re.search(r"VOLVER: \d words?: .*VOLVER/001_repetir\.wav \(0\.\d\d s\)", augment)
    assert re.search(r"warning: my/seeds/VOLVER/000_repetir\.wav: .*; ignored", everything)
    page = (own_words / "reports/index.html").read_text(encoding="utf-8")
    assert 'id="recordings"' in page


def test_first_use_with_words_by_others(own_words):
    shutil.copytree(own_words / "others", own_words / "my/eval")
    said = first_use(own_words).split("Running stage 'report'")[1]
    assert re.search(r"words +\d+\.\d% +of 8 recordings by 4 unseen voices", said)
    assert re.search(r"VOLVER is heard is not known", said)


def test_later_runs_keep_to_one_s_own_words(own_words):
    change = next(words for words in sentences(ROOT / "README.md") if "experiment=my" in words)
    assert "train.lr=3e-4" in change
    call(own_words, *change, *small(), "check")
    values = YAML(typ="safe").load((own_words / "params.yaml").read_text(encoding="utf-8"))
    assert set(values["labels"]) == set(LABELS)
    assert values["train"]["lr"] == 3e-4


def test_a_recording_of_training_is_heard_or_its_score_is_told(own_words):
    for label in SAID:
        recording = next((own_words / "my/seeds" / label).iterdir())
        assert label in call(own_words, "kws", "spot", str(recording))
