"""A clone of the project in which tests run the pipeline through DVC."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from conftest import ROOT

AFTER_FEATURES = {
    "train",
    "onnx",
    "evaluate",
    "calib",
    "compile@host",
    "benchmark@host",
    "all_int8",
    "report",
}
EACH = ("augment", "logmel", "hear")
"""The stages that each label has of its own."""
AFTER_TRAINING = {"onnx", "evaluate", "compile@host", "benchmark@host", "all_int8", "report"}
AFTER_FEATURES = {"train", "calib", "hear_int8", *AFTER_TRAINING}
LABELS = ["ACOPLAR", "CANCELAR", "CONTINUAR", "FONDO", "LEVANTADO", "PRINCIPAL", "REPETIR", "SALIR"]
SMOKE = ("-S", "experiment=smoke")
FEW_LABELS = ["FONDO", "REPETIR", "SALIR"]
FEW = (*SMOKE, "-S", f"labels=[{','.join(FEW_LABELS)}]")
"""Fewer labels, for speed, where their number does not matter."""


def call(clone: Path, *command: str) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def ran(output: str) -> set[str]:
    """The stages that DVC found changed: it ran them, or knew a run on the same from another clone."""
    return set(re.findall(r"^(?:Running stage|Stage) '(.+)'(?::$| is cached - )", output, re.MULTILINE))


def exp_run(clone: Path, *overrides: str) -> set[str]:
    return ran(call(clone, "dvc", "exp", "run", *overrides))


def changed(clone: Path, *overrides: str) -> set[str]:
    """The stages that these overrides change by themselves; what comes after them is DVC's to know."""
    call(clone, "kws", "compose", *(word for word in overrides if word != "-S"))
    stages = json.loads(call(clone, "dvc", "status", "--json"))
    call(clone, "git", "checkout", "-q", "params.yaml")
    return set(stages)


def read(clone: Path, report: str) -> dict:
    """One of the JSON files in reports/."""
    return json.loads((clone / "reports" / report).read_text())


def metrics(clone: Path) -> dict:
    return read(clone, "metrics.json")


def data_bytes(clone: Path) -> dict[str, str]:
    """Hashes of clips, features and calibration."""
    files = [
        p
        for part in ("clips", "features", "calib")
        for p in (clone / "data" / part).rglob("*")
        if p.is_file()
    ]
    return {p.relative_to(clone).as_posix(): sha256(p.read_bytes()).hexdigest() for p in files}


VOICES = ("af_heart", "af_kore", "am_michael", "am_puck")
"""Who is heard in the evaluation of a clone."""
EACH_FOLDER = 4
"""Other words, near misses and talk by each voice that a clone has."""


def make_clone(folders: pytest.TempPathFactory) -> Path:
    """A clone with few recordings by others; all clones of one run of the tests share DVC's cache."""
    clone, seen = folders.mktemp("clone"), Counter[Path | str]()
    listing = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True)
    for name in sorted(listing.splitlines()):
        path = Path(name)
        of = path.parent if path.parent.name != "talk" else f"talk {path.stem.rpartition('_')[0]}"
        seen[of] += 1
        if path.is_relative_to("data/eval") and not any(voice in name for voice in (*VOICES, "backgrounds")):
            continue
        many = path.parent.parent.name in ("near_misses", "negatives") or path.parent.name == "talk"
        if (ROOT / path).is_file() and not (many and seen[of] > EACH_FOLDER):
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, clone / path)
    (clone / "dvc.lock").unlink(missing_ok=True)
    shared = folders.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else folders.getbasetemp()
    identity = [["config", "user.name", "test"], ["config", "user.email", "test@localhost"]]
    for command in (["init", "-q"], *identity, ["add", "-A"], ["commit", "-qm", "start"]):
        call(clone, "git", *command)
    call(clone, "dvc", "config", "--local", "cache.dir", str(shared / "dvc"))
    return clone
