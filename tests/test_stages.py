"""Each stage on bad input: one line that names the file or key, a non-zero exit, nothing left behind."""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

import stages
from conftest import RATE, ROOT, real
from kws.augment.splits import TRAIN
from kws.common.arrays import write_array
from kws.common.errors import UserError
from kws.params import inputs
from kws.params.compose import compose
from kws.params.inputs import difference
from kws.params.whole import load_params
from stages import paths
from stages.data import dataset


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


def loud(path, level):
    soundfile.write(path, np.full(RATE, level), RATE, subtype="FLOAT")


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
        (
            "000_salir.wav",
            lambda p: soundfile.write(p, np.full(RATE, 9e30), RATE, subtype="FLOAT"),
            "reach 9",
        ),
        ("letter.wav", lambda p: p.write_text("Dear"), "cannot be read as audio"),
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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no array, expected <f4 of 2 axes"),
        (np.zeros((4, 8)), "holds <f8 of shape (4, 8), expected <f4 of 2 axes"),
        (np.zeros((4, 7), np.float32), "has shape (4, 7), expected (4, 8)"),
        (np.zeros((3, 8), np.float32), "has shape (3, 8), expected (4, 8)"),
        (np.full((4, 8), np.nan, np.float32), "holds values that are no numbers; remove it"),
        (np.array([{}], object), "no array, expected <f4 of 2 axes"),
    ],
)
def test_what_was_heard_of_other_clips_or_is_no_array_is_one_line(project, content, says):
    for name in ("SALIR", "FONDO", paths.HARD):
        for path in (paths.manifest(name), paths.heard(name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        paths.manifest(name).write_text("split\n" + "train\n" * 3 + "val\n")
        np.save(paths.heard(name), np.zeros((4, 8), np.float32))
    params = load_params(paths.PARAMS)
    assert len(dataset(params, TRAIN, paths.heard)) == 9
    spoilt = paths.heard("FONDO")
    if isinstance(content, bytes):
        spoilt.write_bytes(content)
    else:
        np.save(spoilt, content, allow_pickle=True)
    with pytest.raises(UserError, match=re.escape(f"{spoilt}: {says}")):
        dataset(params, TRAIN, paths.heard)


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
        f"warning: {project}/voices: anna/salir2.wav: no label is called so; not used, "
        "a voice's file is <LABEL>.wav"
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
    assert "augment.hard_kinds holds only `joined`" in run("hard")


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
    monkeypatch.setattr("kws.common.parallel.map_blocks.__defaults__", (4,))
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


@pytest.fixture
def watched(project, monkeypatch):
    """The same folder under DVC, as far as a stage can tell, for `augment@SALIR`."""
    shutil.copy(ROOT / "dvc.yaml", project)
    monkeypatch.setenv("DVC_STAGE", "augment@SALIR")
    return project


def meanwhile(monkeypatch, happens):
    """Let something happen while a stage writes its clips."""
    module = importlib.import_module("stages.augment")
    make_clips = module.make_clips

    def made(*arguments):
        make_clips(*arguments)
        happens()

    monkeypatch.setattr(module, "make_clips", made)


def test_dvc_says_what_a_stage_is_repeated_for(watched, monkeypatch):
    assert run("augment") is None
    assert "data/clips/SALIR/clips.npy" in written(watched)
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:logmel@SALIR")
    assert run("logmel") is None
    assert "data/features/SALIR.npy" in written(watched)


def replace_params(old, new):
    text = Path("params.yaml").read_text()
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new, 1))


def replace_recording():
    path = Path("seeds/SALIR/000_salir.wav")
    content = path.read_bytes()
    path.with_name("new").write_bytes(content[::-1])
    path.with_name("new").replace(path)


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (lambda: replace_params("\nseed: 1\n", "\nseed: 7\n"), "params.yaml: seed was 1 and is 7 since "),
        (
            lambda: replace_params("count: 4", "count: 5"),
            "params.yaml: augment.rooms.count was 4 and is 5 since",
        ),
        (replace_recording, "seeds/SALIR/000_salir.wav: has changed since augment@SALIR began to read it"),
        (lambda: Path("seeds/SALIR/b.wav").write_bytes(b""), "seeds/SALIR/b.wav: is new since"),
        (lambda: next(Path("seeds/FONDO").iterdir()).unlink(), ": is gone since augment@SALIR"),
        (lambda: np.save("data/rirs/rirs.npy", np.zeros((1, 8))), "data/rirs/rirs.npy: has changed since"),
    ],
)
def test_a_stage_fails_where_what_it_read_is_no_longer_there(watched, monkeypatch, happens, says):
    meanwhile(monkeypatch, happens)
    message = run("augment")
    assert message.startswith("error: ")
    assert says in message
    assert message.endswith("so its outputs do not count; run it again")


@pytest.mark.parametrize(
    "happens",
    [
        lambda: replace_params("epochs: 2", "epochs: 3"),
        lambda: Path("seeds/SALIR/000_salir.wav").read_bytes(),
        lambda: shutil.copytree("seeds/SALIR", "seeds/OTRA"),
        lambda: Path("seeds/FONDO/__pycache__").mkdir(),
        lambda: Path("data/clips/FONDO").mkdir(),
    ],
)
def test_what_a_stage_does_not_read_may_change(watched, monkeypatch, happens):
    meanwhile(monkeypatch, happens)
    assert run("augment") is None


def read_stage(name):
    return inputs.read_stage(name, paths.PIPELINE, paths.PARAMS)


def look(stage):
    return inputs.look(stage, paths.PARAMS)


def test_what_is_looked_at_is_what_dvc_looks_at(watched, monkeypatch):
    assert read_stage("augment@SALIR").deps[:3] == [
        f"{watched}/seeds/SALIR",
        f"{watched}/seeds/FONDO",
        f"{ROOT}/data/none",
    ]
    assert read_stage("compile@host").params == ["target.host"]
    assert "kws/targets/host.py" in read_stage("compile@host").deps
    assert look(read_stage("compile@host")).params["target.host"]["threads"] == 1
    assert "data" in look(read_stage("report")).params, "all of params.yaml"


def test_a_loop_of_links_is_walked_once(watched):
    (watched / "seeds/SALIR/again").symlink_to(watched / "seeds/SALIR")
    (watched / "seeds/SALIR/nowhere").symlink_to(watched / "nowhere")
    stage = read_stage("augment@SALIR")
    assert sum("salir.wav" in path for path in look(stage).files) == 1
    assert difference(look(stage), look(stage)) is None


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (
            OSError(28, "No space left on device"),
            "error: augment@SALIR: No space left on device; check the path",
        ),
        (OSError("4 requested and 0 written"), "error: augment@SALIR: 4 requested and 0 written; check"),
        (OSError(28, "No space left on device", "x.npy"), "error: x.npy: No space left on device; check"),
        (MemoryError(), "error: not enough memory for what params.yaml asks for"),
    ],
)
def test_what_the_machine_lacks_is_one_line(watched, monkeypatch, raised, says):
    def fail():
        raise raised

    meanwhile(monkeypatch, fail)
    assert run("augment").startswith(says)


def interrupted(project, stage, once, **environment):
    """Press Ctrl-C, as a terminal does, in a stage that has come so far; return how it ended."""
    done = subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}", "SALIR"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    )
    deadline = time.monotonic() + 60
    while not once():
        assert done.poll() is None and time.monotonic() < deadline, "never caught at work"
        time.sleep(0.01)
    os.killpg(done.pid, signal.SIGINT)
    return done.communicate(timeout=60)[1], done.returncode


@pytest.mark.skipif(os.name == "nt", reason="needs process groups")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_is_one_line_and_status_130(project, workers):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub("per_class: .*", "per_class: 100000", text))
    clips = project / "data/clips/SALIR.partial/SALIR/clips.npy"
    begun = lambda: clips.is_file() and clips.stat().st_size > 5_000_000  # noqa: E731
    said, status = interrupted(project, "augment", begun, KWS_WORKERS=workers)
    assert (said, status) == ("error: interrupted; run it again to go on\n", 130)
    assert written(project) == ["data/rirs/rirs.npy"]


def test_ctrl_c_in_training_ends_alike(project, capsys):
    def main():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)  # so Lightning does

    with pytest.raises(SystemExit) as exit_:
        stages.run(main)
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "error: interrupted; run it again to go on\n"


@pytest.fixture
def checked(project):
    (project / "data/none").mkdir()
    return project


def test_check_passes_where_all_is_there(checked):
    assert run("check") is None
    assert (checked / "data/checked").read_text() == "ok\n"


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        (
            "seeds/SALIR",
            "seeds/SALIR: no such folder, which data.seeds needs; create it and put recordings there",
        ),
        ("seeds", "seeds/SALIR: no such folder"),
        ("data/none", "data/none: no such folder, which data.rirs needs; create it"),
    ],
)
def test_check_names_a_folder_that_is_missing(checked, missing, says):
    shutil.rmtree(checked / missing)
    message = run("check")
    assert says in message
    assert message.endswith("`kws compose` brings back the params.yaml of conf/")
    assert not (checked / "data/checked").exists()


def test_check_says_how_a_label_s_folder_must_be_called(checked):
    """DVC looks for it by its exact name."""
    (checked / "seeds/SALIR").rename(checked / "seeds/Salir")
    if not (checked / "seeds/SALIR").is_dir():  # where case matters
        said = f"error: {checked}/seeds/Salir: must be called exactly as its label is, for DVC"
        assert run("check") == f"{said}; rename it to {checked}/seeds/SALIR"


def test_a_queued_experiment_says_why_it_lacks_a_folder(checked, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(ROOT))
    replace_params(f"seeds: {checked}/seeds", "seeds: my/seeds")
    message = run("check")
    assert message.startswith(
        "error: my/seeds/SALIR: no such folder, which data.seeds needs; a queued experiment"
    )
    assert "git add my, or queue it with --copy-paths my" in message


def test_check_names_a_program_that_is_missing(checked, monkeypatch):
    compose(ROOT / "conf", checked / "other.yaml", ["target=[ax630c]"])
    (checked / "params.yaml").write_text(
        re.sub(
            r"(?s)target:.*?\nseed:",
            re.search(r"(?s)target:.*?\nseed:", (checked / "other.yaml").read_text())[0],
            (checked / "params.yaml").read_text(),
        )
    )
    monkeypatch.setenv("PATH", str(checked))
    message = run("check")
    assert message.startswith("error: target.ax630c: needs Pulsar2, but docker is not on PATH; podman is not")
    assert message.endswith("run with -S 'target=[host]'; `kws compose` brings back the params.yaml of conf/")


def test_check_says_what_much_will_take_and_goes_on(checked, capsys):
    replace_params("per_class: 40", "per_class: 900000")
    assert run("check") is None
    assert "warning: 900,060 clips take about" in capsys.readouterr().err


def test_a_python_without_the_packages_is_told_in_one_line():
    """As where DVC is called by its path and the environment's python is not on PATH."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "stages.check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*python.* has no \w+; .*source .venv/bin/activate.*first\n", done.stderr)
