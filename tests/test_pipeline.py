"""The whole pipeline in a temporary clone: what runs, what does not, and what comes out."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

from conftest import RATE, ROOT, real
from kws.board import read_inputs
from kws.calibration import read_tar
from kws.detector import read_spec
from kws.files import remove
from kws.inference import Classifier, accuracy
from standins.install import SSHD, install, serve

AFTER_FEATURES = {"train", "onnx", "evaluate", "calib", "compile@host", "benchmark@host", "report"}
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


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone in which the smoke experiment has run once."""
    path = copy_project(tmp_path_factory.mktemp("clone"))
    everything = {"rirs", "hard", "streams", *AFTER_FEATURES} | {
        f"{s}@{label}" for s in ("augment", "logmel") for label in LABELS
    }
    assert exp_run(path, *SMOKE) == everything
    return path


def test_one_run_makes_every_artefact(clone):
    scores = metrics(clone)
    assert set(scores) == {"same_source", "words", "near_misses", "stream", "onnx", "targets"}
    assert scores["words"]["n"] == 70
    assert scores["near_misses"]["n"] == 220
    stream = scores["stream"]
    assert stream["keywords"] == 14
    assert stream["hours"] == pytest.approx(stream["tuning_hours"], rel=0.2)
    assert set(stream["recall_at_fa_per_hour"]) == {"10", "1", "0.5", "0.1"}
    assert stream["recall_interval"][0] <= stream["recall"] <= stream["recall_interval"][1]
    detector = read_spec(clone / "models/detector.json")
    assert detector.labels == LABELS
    assert detector.on == stream["threshold"]
    outcomes = list(csv.DictReader((clone / "reports/events.csv").read_text().splitlines()))
    assert sum(row["kind"] in ("hit", "miss") for row in outcomes) == 14
    assert sum(row["kind"] == "hit" for row in outcomes) == round(14 * stream["recall"])
    assert scores["onnx"]["macs"] == 13_437_952
    assert scores["onnx"]["max_abs_diff"] <= 1e-4
    host = scores["targets"]["host"]
    assert host["tool"].startswith("onnxruntime ")
    assert 0 < host["latency_ms"]["min"] <= host["latency_ms"]["p50"] <= host["latency_ms"]["p99"]
    assert 0.8 <= host["top1_agreement"] <= 1
    samples = np.concatenate(list(read_tar(clone / "data/calib/calib_kws.tar")))
    assert (samples.shape, samples.dtype) == ((32, 1, 98, 64), np.float32)
    build = json.loads((clone / "models/host/build.json").read_text())
    assert build["float_ops"]["GRU"] == 1
    page = (clone / "reports/index.html").read_text(encoding="utf-8")
    assert page.count("<audio") > sum(row["kind"] != "hit" for row in outcomes)
    assert build["inputs"]["kws.onnx"] == sha256((clone / "models/kws.onnx").read_bytes()).hexdigest()


def test_calibration_clips_come_from_training_only(clone):
    for line in (clone / "data/calib/manifest.csv").read_text().splitlines()[1:]:
        _, label, clip = line.split(",")
        row = (clone / f"data/clips/{label}/manifest.csv").read_text().splitlines()[int(clip) + 1]
        assert row.split(",")[3] == "train"


def test_git_sees_only_what_belongs_to_it(clone):
    status = call(clone, "git", "status", "--porcelain", "--untracked-files=all").splitlines()
    assert {line[3:] for line in status} <= {
        "dvc.lock",
        "params.yaml",
        "reports/headline.json",
        "reports/metrics.json",
    }


def test_nothing_changed_nothing_runs(clone):
    output = call(clone, "dvc", "repro")
    assert ran(output) == set()
    assert "up to date" in output


def test_metrics_and_plots_compare_runs(clone):
    (clone / "reports/metrics.json").write_text((ROOT / "reports/metrics.json").read_text())
    call(clone, "git", "commit", "-qam", "other numbers")
    call(clone, "dvc", "checkout")
    call(clone, "dvc", "repro")

    def difference(*targets: str) -> dict:
        printed = call(clone, "dvc", "metrics", "diff", "--json", "--all", *targets)
        return json.loads(printed.splitlines()[0])  # HEAD holds no curves, and DVC goes on to say so

    assert "recall_at_1_per_hour" in difference()["reports/headline.json"]
    changed = difference("--targets", "reports/metrics.json")["reports/metrics.json"]
    assert "words.confusion.REPETIR.SALIR" in changed
    assert {f"targets.host.latency_ms.{p}" for p in ("min", "mean", "p50", "p95", "p99", "max")} <= set(
        changed
    )
    call(clone, "dvc", "plots", "diff", "--out", "plots")
    page = (clone / "plots/index.html").read_text()
    for plot in ("det", "scores", "confusion", "confusion_normalised", "loss", "accuracy"):
        assert plot in page
    assert '"actual": "REPETIR"' in page
    assert '"type": "log"' in page
    shutil.rmtree(clone / "plots")


@pytest.mark.skipif(SSHD is None or not shutil.which("ssh"), reason="needs OpenSSH's sshd and ssh")
def test_two_boards_join_the_host_with_stand_ins_for_docker_and_the_boards(clone, tmp_path, monkeypatch):
    override = ("-S", "target=[host,ax630c,ax650n]")
    docker = install(tmp_path / "docker", "docker")
    monkeypatch.setenv("PATH", f"{docker.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KWS_STANDIN_STATE", str(docker.state))
    with serve(tmp_path / "a") as ax630c, serve(tmp_path / "b", "AX650N_CHIP") as ax650n:
        both = tmp_path / "ssh_config"
        text = ax630c.config.read_text().split("Host *")[0]
        both.write_text(f"{text}{ax650n.config.read_text().replace('board ax630c', 'ax650n')}")
        both.chmod(0o600)
        monkeypatch.setenv("KWS_SSH_CONFIG", str(both))
        stages = {f"{stage}@{name}" for stage in ("compile", "benchmark") for name in ("ax630c", "ax650n")}
        assert exp_run(clone, *SMOKE, *override) == stages | {"report"}
        assert exp_run(clone, *SMOKE, *override) == set()
        assert exp_run(clone, *SMOKE, *override, "-S", "target.ax630c.precision=u16") == {
            "compile@ax630c",
            "benchmark@ax630c",
            "report",
        }
    targets = metrics(clone)["targets"]
    assert set(targets) == {"host", "ax630c", "ax650n"}
    inputs, actual = read_inputs(clone / "data/calib", (98, 64), LABELS)
    assert len(inputs) == 40
    expected = accuracy(Classifier(clone / "models/kws.onnx").logits(inputs), actual)
    for name in ("ax630c", "ax650n"):
        assert targets[name]["tool"] == "Pulsar2 4.2 751f68f9"
        assert (targets[name]["simulated"], targets[name]["board"]["inputs_by_list"]) == (False, 40)
        assert (targets[name]["accuracy"], targets[name]["top1_agreement"]) == (expected, 1)
    difference = ("dvc", "metrics", "diff", "--json", "--all", "--targets", "reports/metrics.json")
    changed = json.loads(call(clone, *difference))["reports/metrics.json"]
    assert {f"targets.{name}.latency_ms.p50" for name in ("ax630c", "ax650n")} <= set(changed)
    headline = json.loads((clone / "reports/headline.json").read_text())
    assert headline["ax630c"]["p50_ms"] == targets["ax630c"]["latency_ms"]["p50"]
    for path in (*clone.glob("models/ax6*"), *clone.glob("reports/benchmark/ax6*")):
        remove(path)


def test_a_training_parameter_does_not_touch_the_data(clone):
    exp_run(clone, *FEW)
    assert exp_run(clone, *FEW, "-S", "train.lr=0.002") == {"train", *AFTER_TRAINING}


def test_the_detector_and_the_calibration_do_not_retrain(clone):
    exp_run(clone, *FEW)
    smoother = (*FEW, "-S", "detector.smooth_ms=500")
    assert exp_run(clone, *smoother) == {"evaluate", "report"}
    assert exp_run(clone, *smoother, "-S", "calib.samples=16") == {
        "calib",
        "compile@host",
        "benchmark@host",
        "report",
    }


def test_adding_a_label_makes_its_own_data_only_and_leaves_the_rest_as_it_was(clone):
    exp_run(clone, *FEW)
    before = data_bytes(clone)
    (clone / "data/seeds/ABIERTO").mkdir()
    shutil.copy(clone / "data/negatives/em_alex/abierto.ogg", clone / "data/seeds/ABIERTO")
    labels = ["ABIERTO", *FEW_LABELS]
    expected = {"augment@ABIERTO", "logmel@ABIERTO", "hard", "streams", *AFTER_FEATURES}
    assert exp_run(clone, *SMOKE, "-S", f"labels=[{','.join(labels)}]") == expected
    after = data_bytes(clone)
    unchanged = {name for name in before if not name.startswith("data/calib") and "_hard" not in name}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert list(metrics(clone)["words"]["confusion"]["SALIR"]) == labels
    shutil.rmtree(clone / "data/seeds/ABIERTO")


def test_noise_makes_clips_again_but_not_rooms(clone):
    stages = {f"{stage}@{label}" for stage in ("augment", "logmel") for label in FEW_LABELS}
    assert exp_run(clone, *FEW, "-S", "augment.p_noise=0.5") == stages | {"hard"} | AFTER_FEATURES


def test_a_missing_label_folder_and_a_wrong_value_stop_dvc_too(clone):
    for override, says in (
        ("labels=[SALIR,NADIE,FONDO]", "data/seeds/NADIE"),
        ("augment.p_noise=-1", "augment.p_noise"),
    ):
        with pytest.raises(AssertionError, match=says):
            exp_run(clone, *SMOKE, "-S", override)


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


def forget(clone: Path, out: str) -> None:
    """Remove an output and all runs from DVC's cache, so that its stage must run again."""
    shutil.rmtree(clone / ".dvc/cache/runs", ignore_errors=True)
    lock = (clone / "dvc.lock").read_text()
    md5 = re.search(rf"outs:\n    - path: {out}\n      hash: md5\n      md5: (\S+)", lock)[1]
    (clone / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()


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
        forget(clone, out)
        again = ran(call(clone, "dvc", "repro", "calib"))
        assert stage in again, again
        assert data_bytes(clone) == expected
        assert not partial.exists()


def test_forty_bands_and_longer_clips_reach_int8(clone):
    exp_run(clone, *FEW, "-S", "features.n_mels=40", "-S", "features.clip_s=1.5")
    graph = onnx.load(clone / "models/host/kws.onnx").graph
    assert [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim] == [1, 1, 148, 40]
    assert (clone / "data/calib/input/0/input.bin").stat().st_size == 148 * 40 * 4
    assert metrics(clone)["targets"]["host"]["top1_agreement"] > 0.8


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


def test_a_human_voice_works_as_recorded(clone):
    folder = real("human_es")
    output = call(clone, "dvc", "exp", "run", *SMOKE, "-S", f"data.seeds={folder}")
    assert output.count("has the same content as") == 2
    assert f"warning: {folder}/REPETIR/000_repetir.wav: its word takes 1.71 s" in output
    assert metrics(clone)["words"]["n"] == 70
