"""Experiments side by side."""

import subprocess
import sys

from conftest import ROOT


def test_an_unknown_experiment_is_told_in_one_line():
    command = [sys.executable, "-m", "docs.table", "no-such-experiment"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("no-such-experiment: no experiment, commit or branch")
