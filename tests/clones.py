"""A clone of the project in which tests run the pipeline through DVC."""

import json
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from conftest import ROOT

AFTER_FEATURES = {"train", "onnx", "evaluate", "calib", "compile@host", "benchmark@host", "report"}
EACH = ("augment", "logmel", "hear")
"""The stages that each label has of its own."""
AFTER_TRAINING = {"onnx", "evaluate", "compile@host", "benchmark@host", "report"}
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
    """The stages that DVC says it ran."""
    return set(re.findall(r"^Running stage '(.+)':$", output, re.MULTILINE))


def exp_run(clone: Path, *overrides: str) -> set[str]:
    return ran(call(clone, "dvc", "exp", "run", *overrides))


def metrics(clone: Path) -> dict:
    return json.loads((clone / "reports/metrics.json").read_text())


def data_bytes(clone: Path) -> dict[str, str]:
    """Hashes of clips, features and calibration."""
    files = [
        p
        for part in ("clips", "features", "calib")
        for p in (clone / "data" / part).rglob("*")
        if p.is_file()
    ]
    return {p.relative_to(clone).as_posix(): sha256(p.read_bytes()).hexdigest() for p in files}


def copy_project(target: Path) -> Path:
    listing = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True)
    for name in listing.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    (target / "dvc.lock").unlink(missing_ok=True)
    identity = [["config", "user.name", "test"], ["config", "user.email", "test@localhost"]]
    for command in (["init", "-q"], *identity, ["add", "-A"], ["commit", "-qm", "start"]):
        call(target, "git", *command)
    return target
