"""What DVC does not look at is no input: what systems leave in folders changes nothing."""

import subprocess

import pytest

from conftest import ROOT
from kws.params.inputs import IGNORED, Stage, look
from kws.recordings.audio import LITTER

LEFT = (".DS_Store", "._luz.wav", ".directory", "desktop.ini", "Thumbs.db", "luz.wav.Zone.Identifier")
FOLDERS = ("__MACOSX", "@eaDir")


def test_dvc_is_told_of_the_same_names():
    lines = (ROOT / ".dvcignore").read_text().splitlines()
    assert tuple(line for line in lines if not line.startswith("#")) == IGNORED


def test_dvc_sees_none_of_it():
    names = [f"data/seeds/{name}" for name in (*LEFT, *(f"{folder}/luz.wav" for folder in FOLDERS))]
    asked = [*names, "data/seeds/luz.wav"]
    done = subprocess.run(["dvc", "check-ignore", *asked], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == names


@pytest.mark.parametrize("name", [*LEFT, *FOLDERS])
def test_what_appears_in_a_folder_of_recordings_is_no_change(tmp_path, name):
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    (tmp_path / "my").mkdir()
    (tmp_path / "my/luz.wav").touch()
    stage = Stage("augment", ["seed"], [str(tmp_path / "my")], [])
    before = look(stage, tmp_path / "params.yaml")
    (tmp_path / "my" / name).mkdir() if name in FOLDERS else (tmp_path / "my" / name).touch()
    if name in FOLDERS:
        (tmp_path / "my" / name / "luz.wav").touch()
    assert look(stage, tmp_path / "params.yaml") == before
    assert LITTER.fullmatch(name), "nor is it read"
    (tmp_path / "my/luces.wav").touch()
    assert look(stage, tmp_path / "params.yaml") != before
