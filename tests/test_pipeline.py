"""The whole pipeline in a temporary clone: what comes out of one run, and how runs are compared."""

import csv
import json
import os
import re
import shutil
from hashlib import sha256

import numpy as np
import pytest

from clones import AFTER_FEATURES, EACH, FEW, FEW_LABELS, call, exp_run, make_clone, metrics, ran, read
from conftest import ROOT, real
from kws.board.inputs import read_inputs
from kws.common.files import remove
from kws.detector import read_spec
from kws.runtime.inference import Classifier, accuracy
from kws.targets.calibration import read_tar
from standins.install import SSHD, install, serve


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone in which the smoke experiment has run once, with few labels."""
    path = make_clone(tmp_path_factory)
    heard = {"encoder", "hear_hard", "hear_eval"} | {f"{s}@{label}" for s in EACH for label in FEW_LABELS}
    everything = {"check", "rirs", "hard", "streams", "vega", *heard, *AFTER_FEATURES}
    assert exp_run(path, *FEW) == everything
    return path


def test_one_run_makes_every_artefact(clone):
    scores = metrics(clone)
    assert set(scores) == {"same_source", "words", "near_misses", "stream", "onnx", "targets"}
    assert scores["words"]["n"] == 8
    assert scores["near_misses"]["n"] == 16
    stream = scores["stream"]
    assert stream["keywords"] == 4
    assert stream["hours"] == pytest.approx(stream["tuning_hours"], rel=0.2)
    assert set(stream["recall_at_fa_per_hour"]) == {"10", "1", "0.5", "0.1"}
    assert stream["recall_interval"][0] <= stream["recall"] <= stream["recall_interval"][1]
    detector = read_spec(clone / "models/detector.json")
    assert detector.labels == FEW_LABELS
    assert detector.on == stream["threshold"]
    outcomes = list(csv.DictReader((clone / "reports/events.csv").read_text().splitlines()))
    assert sum(row["kind"] in ("hit", "miss") for row in outcomes) == 4
    assert sum(row["kind"] == "hit" for row in outcomes) == round(4 * stream["recall"])
    assert scores["onnx"]["macs"] == 77_995_776
    assert scores["onnx"]["max_abs_diff"] <= 1e-4
    host = scores["targets"]["host"]
    assert host["tool"].startswith("onnxruntime ")
    assert 0 < host["latency_ms"]["min"] <= host["latency_ms"]["p50"] <= host["latency_ms"]["p99"]
    assert 0.8 <= host["top1_agreement"] <= 1
    samples = np.concatenate(list(read_tar(clone / "data/calib/calib_kws.tar", (1, 1, 98, 64))))
    assert (samples.shape, samples.dtype) == ((32, 1, 98, 64), np.float32)
    build = json.loads((clone / "models/host/build.json").read_text())
    assert (build["int8_ops"]["Conv"], build["float_ops"]["Conv"]) == (34, 3)
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
    other = json.loads((ROOT / "reports/metrics.json").read_text())
    other["words"]["confusion"]["REPETIR"]["SALIR"] += 70
    (clone / "reports/metrics.json").write_text(json.dumps(other))
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
        assert exp_run(clone, *FEW, *override) == stages | {"check", "report"}
        assert exp_run(clone, *FEW, *override) == set()
        assert exp_run(clone, *FEW, *override, "-S", "target.ax630c.precision=u16") == {
            "check",
            "compile@ax630c",
            "benchmark@ax630c",
            "report",
        }
    targets = metrics(clone)["targets"]
    assert set(targets) == {"host", "ax630c", "ax650n"}
    inputs, actual = read_inputs(clone / "data/calib", (98, 64), FEW_LABELS)
    assert len(inputs) == 24
    expected = accuracy(Classifier(clone / "models/kws.onnx").logits(inputs), actual)
    for name in ("ax630c", "ax650n"):
        assert targets[name]["tool"] == "Pulsar2 4.2 751f68f9"
        assert (targets[name]["simulated"], targets[name]["board"]["inputs_by_list"]) == (False, 24)
        assert (targets[name]["accuracy"], targets[name]["top1_agreement"]) == (expected, 1)
    difference = ("dvc", "metrics", "diff", "--json", "--all", "--targets", "reports/metrics.json")
    changed = json.loads(call(clone, *difference))["reports/metrics.json"]
    assert {f"targets.{name}.latency_ms.p50" for name in ("ax630c", "ax650n")} <= set(changed)
    headline = json.loads((clone / "reports/headline.json").read_text())
    assert headline["ax630c"]["p50_ms"] == targets["ax630c"]["latency_ms"]["p50"]
    for path in (*clone.glob("models/ax6*"), *clone.glob("reports/benchmark/ax6*")):
        remove(path)


def test_a_human_voice_works_as_recorded(clone):
    folder = real("human_es")
    output = call(clone, "dvc", "exp", "run", *FEW, "-S", f"data.seeds={folder}", "evaluate")
    assert output.count("has the same content as") == 2
    assert re.search(
        rf"warning: {folder}/REPETIR/000_repetir.wav: its word at 0\.\d s takes 1\.\d\d s", output
    )
    assert read(clone, "evaluation.json")["words"]["n"] == 8
