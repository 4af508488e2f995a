"""What runs again after a change, and what comes out, in a temporary clone with few labels."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import onnx
import pytest
import soundfile

from clones import (
    AFTER_TRAINING,
    EACH,
    FEW,
    FEW_LABELS,
    SMOKE,
    call,
    changed,
    data_bytes,
    exp_run,
    make_clone,
    metrics,
    ran,
    read,
)
from conftest import RATE, ROOT
from kws.common.files import remove


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone in which the smoke experiment has run once, with few labels."""
    path = make_clone(tmp_path_factory)
    exp_run(path, *FEW)
    return path


def test_what_the_encoder_heard_serves_any_number_of_prototypes(clone):
    assert changed(clone, *FEW, "model.prototypes=128") == {"check", "train", "report"}


def test_the_detector_and_the_calibration_do_not_retrain(clone):
    assert changed(clone, *FEW, "detector.hop_ms=200") == {"hear_eval", "hear_int8", "evaluate", "report"}
    assert changed(clone, *FEW, "detector.smooth_ms=300") == {"evaluate", "report"}
    assert changed(clone, *FEW, "calib.samples=16") == {"check", "calib", "report"}


def test_noise_makes_clips_again_but_not_rooms(clone):
    stages = {f"augment@{label}" for label in FEW_LABELS} | {"check", "hard", "report"}
    assert changed(clone, *FEW, "augment.p_noise=0.5") == stages


def test_a_training_parameter_does_not_touch_the_data(clone):
    assert exp_run(clone, *FEW, "-S", "train.lr=0.002") == {"check", "train", *AFTER_TRAINING}


def test_adding_a_label_makes_its_own_data_only_and_leaves_the_rest_as_it_was(clone):
    exp_run(clone, *FEW)
    before = data_bytes(clone)
    (clone / "data/seeds/ABIERTO").mkdir()
    shutil.copy(clone / "data/negatives/em_alex/abierto.ogg", clone / "data/seeds/ABIERTO")
    labels = ["ABIERTO", *FEW_LABELS]
    own = {f"{stage}@ABIERTO" for stage in EACH}
    expected = {
        "check",
        "hard",
        "hear_hard",
        "streams",
        "hear_eval",
        *own,
        "train",
        "onnx",
        "evaluate",
        "calib",
    }
    assert exp_run(clone, *SMOKE, "-S", f"labels=[{','.join(labels)}]", "evaluate", "calib") == expected
    after = data_bytes(clone)
    unchanged = {name for name in before if not name.startswith("data/calib") and "_hard" not in name}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert list(read(clone, "evaluation.json")["words"]["confusion"]["SALIR"]) == labels
    shutil.rmtree(clone / "data/seeds/ABIERTO")


def test_a_missing_label_folder_and_a_wrong_value_stop_dvc_too(clone):
    for override, says in (
        ("labels=[SALIR,NADIE,FONDO]", "data/seeds/NADIE: no such folder"),
        ("augment.p_noise=-1", "augment.p_noise"),
    ):
        with pytest.raises(AssertionError, match=says):
            exp_run(clone, *SMOKE, "-S", override)


def fails(clone: Path, *command: str) -> str:
    with pytest.raises(AssertionError) as error:
        call(clone, *command)
    return str(error.value)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("data.seeds=my/seeds", "error: my/seeds/ACOPLAR: no such folder, which data.seeds needs"),
        ("data.streams=my/streams", "error: my/streams: no such folder, which data.streams needs"),
        (
            "train.lr=x",
            "error: params.yaml: train.lr: input should be a valid number, got 'x'; `kws compose`",
        ),
        ("target=[ax630c]", "error: target.ax630c: needs Pulsar2, but "),
    ],
)
def test_what_is_missing_is_told_before_anything_runs(clone, monkeypatch, override, says):
    monkeypatch.setenv("KWS_CONTAINER", "no-such-program")
    said = fails(clone, "dvc", "exp", "run", "-S", override)
    assert ran(said) == {"check"}
    assert says in said
    assert "`kws compose`" in said
    call(clone, "kws", "compose")
    assert "params.yaml" not in call(clone, "git", "status", "--porcelain")


@pytest.mark.parametrize("label", ["R&D", "A;touch x", """$(touch x) it's "so" """])
def test_a_label_never_reaches_a_shell(clone, label):
    call(clone, "kws", "compose", "experiment=smoke")
    text = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(text.replace("- SALIR\n", f"- {json.dumps(label)}\n"))
    folders = [clone / "data" / part / label for part in ("seeds", "clips")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    refused = "error: params.yaml: labels.7: a label has letters"
    said = fails(clone, "dvc", "repro")
    assert refused in said
    assert ran(said) == {"check"}
    for stage in ("augment", "logmel"):
        folders[1].mkdir(exist_ok=True)  # which DVC removes, as an output of augment
        assert refused in fails(clone, "dvc", "repro", "-s", f"{stage}@{label}")
    assert not (clone / "x").exists()
    for folder in folders:
        remove(folder)
    call(clone, "git", "checkout", "-q", "params.yaml")


def test_a_target_never_reaches_a_shell(clone):
    target = "host;touch x;$(touch x)"
    text = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(text.replace("  host:\n", f"  {json.dumps(target)}:\n"))
    for options in ([], ["-s", f"compile@{target}"], ["-s", f"benchmark@{target}"]):
        (clone / "models" / target).mkdir(exist_ok=True)
        assert f"target.{target}: unknown key" in fails(clone, "dvc", "repro", *options)
    assert not (clone / "x").exists()
    remove(clone / "models" / target)
    call(clone, "git", "checkout", "-q", "params.yaml")


def change_at_work(clone: Path, stage: str, partial: Path, change: Callable[[], None]) -> tuple[int, str]:
    """Run a stage through DVC, change something once it has begun to write, and return how it ended."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "-s", stage],
        cwd=clone,
        env=os.environ | {"PATH": path, "KWS_WORKERS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while run.poll() is None and not partial.exists():
        time.sleep(0.001)
    assert run.poll() is None, "never caught at work"
    change()
    return run.wait(), run.communicate()[0]


def test_what_was_made_of_other_parameters_or_recordings_is_not_cached(clone):
    more = (*FEW, "-S", "augment.per_class=700")
    exp_run(clone, *more, "augment@REPETIR")
    clips, params = clone / "data/clips/REPETIR", clone / "params.yaml"
    recording = clone / "data/seeds/REPETIR/000_repetir.wav"
    one, lock, spoken = params.read_text(), (clone / "dvc.lock").read_text(), recording.read_bytes()
    expected = sha256((clips / "clips.npy").read_bytes()).hexdigest()

    def seed(number: int) -> None:
        params.write_text(one.replace("\nseed: 1\n", f"\nseed: {number}\n"))

    def other_word() -> None:
        remove(recording)
        shutil.copy(clone / "data/seeds/SALIR/000_salir.wav", recording)

    for begin, change, back, says in (
        (
            lambda: seed(2),
            lambda: seed(7),
            lambda: None,
            "params.yaml: seed was 2 and is 7 since augment@REPETIR",
        ),
        (
            lambda: seed(3),
            other_word,
            lambda: recording.write_bytes(spoken),
            f"{recording.name}: has changed since",
        ),
    ):
        begin()
        status, said = change_at_work(clone, "augment@REPETIR", Path(f"{clips}.partial"), change)
        assert status != 0
        assert says in said
        assert (clone / "dvc.lock").read_text() == lock, "DVC has recorded nothing"
        back()
    seed(7)
    assert ran(call(clone, "dvc", "repro", "-s", "augment@REPETIR")) == {"augment@REPETIR"}, (
        "not from the cache"
    )
    assert sha256((clips / "clips.npy").read_bytes()).hexdigest() != expected
    seed(1)
    call(clone, "dvc", "repro", "-s", "augment@REPETIR")
    assert sha256((clips / "clips.npy").read_bytes()).hexdigest() == expected


def kill_at_work(clone: Path, stage: str, partial: Path) -> bool:
    """Start a stage through DVC and kill it and all its children once it has begun to write."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "-f", "-s", stage],
        cwd=clone,
        env=os.environ | {"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while run.poll() is None and not partial.exists():
        time.sleep(0.0002)
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return partial.exists()


def test_a_killed_stage_leaves_no_trace_in_the_next_run(clone):
    exp_run(clone, *FEW, "-S", "augment.per_class=400", "calib")
    expected = data_bytes(clone)
    outputs = {
        "augment@REPETIR": "data/clips/REPETIR",
        "logmel@REPETIR": "data/features/REPETIR.npy",
        "calib": "data/calib",
    }
    for stage, out in outputs.items():
        partial = clone / f"{out}.partial"
        assert any(kill_at_work(clone, stage, partial) for _ in range(20)), "never caught at work"
        assert not (clone / out).exists()
        assert ran(call(clone, "dvc", "repro", "-f", "-s", stage)) == {stage}
        assert data_bytes(clone) == expected
        assert not partial.exists()


def test_forty_bands_and_longer_clips_reach_int8(clone):
    other = ("features.n_mels=40", "features.clip_s=1.5", "model=tcresnet", "train=scratch")
    exp_run(clone, *FEW, *(word for override in other for word in ("-S", override)), "benchmark@host")
    graph = onnx.load(clone / "models/host/kws.onnx").graph
    assert [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim] == [1, 1, 148, 40]
    assert (clone / "data/calib/input/0/input.bin").stat().st_size == 148 * 40 * 4
    assert read(clone, "benchmark/host.json")["top1_agreement"] > 0.8


def test_somebody_elses_words_without_an_evaluation_set(clone, tmp_path):
    word, _ = soundfile.read(ROOT / "data/seeds/SALIR/000_salir.wav", dtype="float32")
    for label, samples in (("uno", word), ("dos", word[::-1])):
        (tmp_path / "seeds" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "seeds" / label / "me.flac", samples, RATE)
    shutil.copytree(ROOT / "data/seeds/FONDO", tmp_path / "seeds/ruido")
    (tmp_path / "eval").mkdir()
    exp_run(
        clone,
        *SMOKE,
        *("-S", f"data.seeds={tmp_path}/seeds", "-S", f"data.eval={tmp_path}/eval"),
        *("-S", "labels=[uno,dos,ruido]", "-S", "background=ruido"),
    )
    assert set(metrics(clone)) == {"same_source", "onnx", "targets"}
