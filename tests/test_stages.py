"""Each stage on bad input: one line that names the file or key, a non-zero exit, nothing left behind."""

import importlib
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

import stages
from conftest import RATE, ROOT, real
from kws.compose import compose
from kws.files import write_array


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with parameters for a tiny run, its own recordings of two labels, and rooms."""
    monkeypatch.chdir(tmp_path)
    for label in ("SALIR", "FONDO"):
        shutil.copytree(ROOT / "data/seeds" / label, tmp_path / "seeds" / label)
    data = [
        f"data.seeds={tmp_path}/seeds",
        f"data.negatives={ROOT}/data/negatives",
        f"data.eval={ROOT}/data/eval",
        f"data.voices={ROOT}/data/none",
    ]
    compose(ROOT / "conf", tmp_path / "params.yaml", ["experiment=smoke", "labels=[SALIR,FONDO]", *data])
    (tmp_path / "data/rirs").mkdir(parents=True)
    np.save(tmp_path / "data/rirs/rirs.npy", np.eye(4, 800, dtype=np.float32))
    return tmp_path


def run(name, *arguments):
    """Run a stage as DVC does, but in this process; return its exit message."""
    sys.argv[1:] = arguments
    try:
        stages.run(importlib.import_module(f"stages.{name}").main)
    except SystemExit as exit_:
        return str(exit_.code)
    return None


def written(project):
    return sorted(p.relative_to(project).as_posix() for p in (project / "data").rglob("*") if p.is_file())


@pytest.fixture(autouse=True)
def restore_argv(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv[:1])
    monkeypatch.setattr("warnings.showwarning", None)


def silent(path):
    soundfile.write(path, np.zeros(RATE, np.float32), RATE)


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("000_salir.wav", lambda p: p.write_bytes(b""), "cannot be read as audio"),
        ("000_salir.wav", lambda p: p.write_bytes(p.read_bytes()[:30]), "cannot be read as audio"),
        ("000_salir.wav", lambda p: p.write_bytes(b"corrupt" * 1000), "cannot be read as audio"),
        ("000_salir.wav", silent, "is silent"),
        ("000_salir.wav", lambda p: p.write_bytes(p.read_bytes()[:-999]), "its header promises"),
        ("000_salir.wav", lambda p: soundfile.write(p, np.full(RATE, 9.0), RATE, subtype="FLOAT"), "reach 9"),
        ("letter.doc", lambda p: p.write_text("Dear"), "not a WAV, FLAC or OGG file"),
    ],
)
def test_an_unusable_recording_is_named(project, name, spoil, says):
    spoil(project / "seeds/SALIR" / name)
    message = run("augment", "SALIR")
    assert message.startswith(f"error: {project}/seeds/SALIR/{name}: ")
    assert says in message
    assert "\n" not in message
    assert written(project) == ["data/rirs/rirs.npy"]


def test_a_missing_label_folder_is_named(project):
    shutil.rmtree(project / "seeds/SALIR")
    assert run("augment", "SALIR").startswith(f"error: {project}/seeds/SALIR: no such folder; create it")
    assert written(project) == ["data/rirs/rirs.npy"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "p_noise: 0.9",
            "p_noise: -0.9",
            "augment.p_noise: input should be greater than or equal to 0, got -0.9",
        ),
        ("epochs: 2", "epochs: 2\n  momentum: 0.9", "train.momentum: unknown key"),
        ("seed: 1", "seed: one", "seed: input should be a valid integer, got 'one'"),
    ],
)
def test_a_wrong_parameter_stops_any_stage(project, old, new, says):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace(old, new, 1))
    assert text != (project / "params.yaml").read_text()
    for stage in (("rirs",), ("augment", "SALIR"), ("report",)):
        assert says in run(*stage)
    assert written(project) == ["data/rirs/rirs.npy"]


def test_an_output_that_cannot_be_written_is_named(project):
    (project / "data/clips").write_text("in the way")
    assert run("augment", "SALIR").startswith("error: data/clips: File exists; check the path")
    assert written(project) == ["data/clips", "data/rirs/rirs.npy"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_and_not_a_crash():
    with pytest.raises(OSError, match="No space left"):
        write_array(Path("/dev/full"), (10_000, 100), np.float32, [np.zeros((10_000, 100))])


def test_clips_that_are_not_what_the_features_are_made_of_are_one_line(project):
    clips = project / "data/clips/SALIR/clips.npy"
    clips.parent.mkdir(parents=True)
    for content, says in (
        (np.zeros((5, 8000), np.int16), "clips of 8000 samples, expected 16000"),
        (np.zeros((5, 16000), np.float32), "holds <f4 of shape (5, 16000), expected <i2 of 2 axes"),
        (np.array([{}], object), "no array, expected <i2 of 2 axes"),
    ):
        np.save(clips, content, allow_pickle=True)
        message = run("logmel", "SALIR")
        assert message.startswith("error: data/clips/SALIR/clips.npy: ")
        assert says in message
    assert not (project / "data/features/SALIR.npy").exists()


def test_recordings_that_no_label_uses_are_said_once(project, capsys):
    (project / "voices/anna").mkdir(parents=True)
    for name in ("SALIR", "salir2"):
        shutil.copy(project / "seeds/SALIR/000_salir.wav", project / f"voices/anna/{name}.wav")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(
        text.replace(f"voices: {ROOT}/data/none", f"voices: {project}/voices")
    )
    with warnings.catch_warnings(action="always"):
        assert run("hard") is None
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "salir2" in line] == [
        f"warning: {project}/voices: no label is called salir2, so these recordings are unused; "
        "a voice's file is <LABEL>.wav, spelt as in labels"
    ]


def test_a_stage_that_runs_twice_at_once_writes_its_output_once(project):
    command = [sys.executable, "-m", "stages.augment", "SALIR"]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    both = [
        subprocess.Popen(command, cwd=project, env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]
    for process, text in zip(both, said, strict=True):
        if process.returncode:
            assert text.startswith("error: data/clips/SALIR.partial: another process is writing here")
            assert text.count("\n") == 1
    assert 0 in [process.returncode for process in both]
    assert written(project) == [
        "data/clips/SALIR/clips.npy",
        "data/clips/SALIR/manifest.csv",
        "data/rirs/rirs.npy",
    ]


@pytest.mark.parametrize("stage", [("augment", "SALIR"), ("rirs",), ("streams",)])
def test_a_stage_on_a_full_disk_names_what_it_could_not_write(project, stage):
    disk = project / "data"
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs leave to mount a file system")
    rirs = (disk / "rirs/rirs.npy").read_bytes()[:20000]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("needs leave to mount a file system")
    try:
        (disk / "rirs").mkdir()
        (disk / "none").mkdir()
        (disk / "rirs/rirs.npy").write_bytes(rirs)
        message = run(*stage)
        left = written(project)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
    assert message.startswith("error: data/"), message
    assert "No space left on device" in message
    assert "\n" not in message
    assert left == ["data/rirs/rirs.npy"]


def test_a_stage_exits_with_one_line_and_status_1(project):
    shutil.rmtree(project / "seeds/SALIR")
    done = subprocess.run(
        [sys.executable, "-m", "stages.augment", "SALIR"],
        cwd=project,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_augment_and_logmel_write_arrays_with_one_row_a_clip(project, params):
    for label, n in (("SALIR", 40), ("FONDO", 42)):
        assert run("augment", label) is None
        assert run("logmel", label) is None
        clips = np.load(project / f"data/clips/{label}/clips.npy", allow_pickle=False)
        features = np.load(project / f"data/features/{label}.npy", allow_pickle=False)
        assert (clips.shape, clips.dtype) == ((n, RATE), np.int16)
        assert (features.shape, features.dtype) == ((n, 98, 64), np.float16)
        assert len((project / f"data/clips/{label}/manifest.csv").read_text().splitlines()) == n + 1
        assert np.abs(features.astype(float).mean(axis=1)).max() < 0.01, "the mean of each band is removed"
        assert features.astype(float).std() > 1, "in decibels"


def test_hard_negatives_are_background_made_from_all_keywords(project):
    assert run("hard") is None
    rows = (project / "data/clips/_hard/manifest.csv").read_text().splitlines()[1:]
    assert len(rows) == 18
    assert {row.split(",")[1] for row in rows} == {"FONDO"}
    assert "joined" not in {row.split(",")[2] for row in rows}, "there is only one keyword to join"
    assert np.load(project / "data/features/_hard.npy", allow_pickle=False).shape == (18, 98, 64)
    text = (project / "params.yaml").read_text()
    kinds = "".join(f"  - {k}\n" for k in ("entering", "leaving", "beginning", "end", "swapped", "reversed"))
    (project / "params.yaml").write_text(text.replace(kinds, ""))
    assert run("hard").startswith("error: augment.hard_kinds: holds only `joined`")


def test_without_evaluation_recordings_there_are_no_streams(project):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace(f"eval: {ROOT}/data/eval", f"eval: {ROOT}/data/none"))
    assert run("streams") is None
    assert (project / "data/streams/labels.csv").read_text() == "file,label,start,end\n"
    assert len(list((project / "data/streams").iterdir())) == 1


def test_streams_are_laid_out_by_voice_and_condition(project):
    assert run("streams") is None
    folder = project / "data/streams"
    voices = ("af_aoede", "af_heart", "af_kore", "af_river")
    assert all((folder / voice / "10dB.flac").is_file() for voice in voices)
    assert (folder / "music/background.flac").is_file()
    said = [row.split(",")[:2] for row in (folder / "labels.csv").read_text().splitlines()[1:]]
    assert said.count(["af_kore/10dB.flac", "SALIR"]) == 1
    assert said.count(["af_kore/10dB.flac", "FONDO"]) == 22


def add_measured_rooms(project, folder):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("  rirs: data/none", f"  rirs: {folder}"))


def test_measured_rooms_join_the_simulated_ones(project):
    (project / "measured").mkdir()
    soundfile.write(project / "measured/hall.wav", np.array([0, 0.5, 0.1, 0.05]), 8000)
    add_measured_rooms(project, project / "measured")
    (project / "data/none").mkdir()
    assert run("rirs") is None
    rirs = np.load(project / "data/rirs/rirs.npy", allow_pickle=False)
    assert (rirs.shape, rirs.dtype) == ((5, 11520), np.float32)
    assert np.sum(rirs**2, axis=1) == pytest.approx(np.ones(5), rel=1e-3)
    assert (project / "data/rirs/rirs.csv").read_text().splitlines()[-1] == "4,hall.wav"


def test_real_measured_rooms_keep_the_direct_path_first(project):
    add_measured_rooms(project, real("rirs"))
    assert run("rirs") is None
    rirs = np.load(project / "data/rirs/rirs.npy", allow_pickle=False)
    assert len(rirs) == 13
    assert (np.abs(rirs).argmax(axis=1) <= 8).all()


def test_the_same_stage_gives_the_same_bytes_for_any_number_of_workers(project, monkeypatch):
    monkeypatch.setattr("kws.parallel.map_blocks.__defaults__", (4,))
    contents = []
    for workers in ("1", "4"):
        monkeypatch.setenv("KWS_WORKERS", workers)
        for label in ("SALIR", "FONDO"):
            assert run("augment", label) is None
            assert run("logmel", label) is None
        contents.append({name: (project / name).read_bytes() for name in written(project)})
        shutil.rmtree(project / "data/clips")
    assert contents[0] == contents[1]
    assert len(contents[0]) == 7
