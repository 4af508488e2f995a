"""The bundle holds what a board needs, runs on the Python that boards have, and refuses what does not fit."""

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
import pytest
import soundfile

from conftest import RATE, ROOT, changed
from kits import SPEC, write_models
from kws.bundle import write as packing
from kws.bundle.wheel import PACKAGE, build_wheel, sources
from kws.bundle.write import write_bundle
from kws.common.errors import UserError
from kws.common.files import sha256, write_json
from kws.detector import read_spec
from kws.features.logmel import features
from kws.runtime import bundle as unpacking
from kws.runtime.backends import open_session
from kws.runtime.bundle import golden_vector, probe_signal, read_bundle
from kws.runtime.inference import Classifier
from kws.runtime.kit import read_kit
from kws.runtime.points import adjusted
from kws.runtime.source import read_blocks
from kws.runtime.spotter import Spotter
from standins.axmodel import wrap


@pytest.fixture(scope="module")
def models(tmp_path_factory, front_end):
    """Models for three targets; the NPU's is nothing that a NPU would run."""
    folder = write_models(tmp_path_factory.mktemp("models"), front_end)
    for target, name in (("host", "kws.onnx"), ("ax630c", "kws.axmodel")):
        (folder / target).mkdir()
        model = onnx.load(folder / "kws.onnx")
        onnx.save(
            wrap(model, "AX620E", "NPU1") if name.endswith(".axmodel") else model, folder / target / name
        )
        build = {"target": target, "tool": "a tool 1.0", "inputs": {"kws.onnx": sha256(folder / "kws.onnx")}}
        write_json(folder / target / "build.json", build)
    return folder


@pytest.fixture
def unpacked(tmp_path, models):
    return unpack(tmp_path, models)


def unpack(tmp_path, models, target="float"):
    write_bundle(tmp_path / "kws-bundle.tar.gz", target, models)
    subprocess.run(["tar", "xzf", "kws-bundle.tar.gz"], cwd=tmp_path, check=True)  # as its README says
    return tmp_path / "kws-bundle"


@pytest.fixture
def recording(tmp_path, word, fan):
    audio = 0.05 * fan[: 6 * RATE]
    audio[2 * RATE : 2 * RATE + len(word)] += word
    soundfile.write(tmp_path / "word.wav", audio, RATE)
    return tmp_path / "word.wav"


def events(kit, path):
    spotter = Spotter(kit)
    return [event for block in read_blocks(path, RATE, 0.1) for event in spotter.push(block).events]


def test_a_bundle_is_the_same_bytes_every_time(tmp_path, models):
    for name in ("a", "b"):
        write_bundle(tmp_path / name, "host", models)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_bundle_tells_what_it_holds(tmp_path, models, front_end):
    folder = unpack(tmp_path, models, "host")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["target"] == "host"
    assert manifest["labels"] == SPEC.labels
    assert manifest["build"]["tool"] == "a tool 1.0"
    assert manifest["front_end"]["n_mels"] == front_end.n_mels
    assert set(manifest["files"]) | {"manifest.json"} == {path.name for path in folder.iterdir()}
    kit = read_bundle(folder)
    assert (kit.front_end, kit.detector) == (front_end, SPEC)


def test_the_golden_vector_is_what_training_computes(front_end):
    signal = probe_signal(front_end)
    assert np.abs(signal).max() < 1
    assert np.abs(golden_vector(front_end) - features(signal, front_end)).max() < unpacking.TOLERANCE / 10


@pytest.mark.parametrize(
    "values",
    [
        {"preemphasis": 0.95},
        {"n_mels": 40},
        {"f_min": 60},
        {"f_max": 7900},
        {"window_ms": 24},
        {"n_fft": 1024},
        {"norm": "cmvn"},
    ],
)
def test_another_front_end_is_refused(unpacked, front_end, values):
    with pytest.raises(UserError, match=r"bundle: made with another front end: features differ by"):
        unpacking.check_front_end(changed(front_end, **values), golden_vector(front_end), str(unpacked))


def test_other_code_for_the_same_front_end_is_refused(unpacked, monkeypatch):
    """The parameters are the same, what is made of them is not: only the golden vector can tell."""
    monkeypatch.setattr("kws.features.streaming.hann", np.hamming)
    with pytest.raises(UserError, match="install the wheel that lies in the bundle"):
        read_bundle(unpacked)


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_bundle_that_is_not_whole_is_refused(unpacked):
    model, manifest = unpacked / "kws.onnx", unpacked / "manifest.json"
    whole, told = model.read_bytes(), manifest.read_text()
    model.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"kws\.onnx: changed since the bundle was made"):
        read_bundle(unpacked)
    model.unlink()
    with pytest.raises(UserError, match=r"kws\.onnx: missing; unpack the bundle again"):
        read_bundle(unpacked)
    model.write_bytes(whole)
    for values, message in (
        ({"format": 1}, r"format 1, expected 2; install the wheel of 0\."),
        ({"front_end": {"n_mels": 64}}, r"manifest\.json: not a manifest \(front_end\.\w+ is missing\)"),
        ({"labels": ["A"]}, "the detector's labels are not those of the model"),
        ({"format": None}, r"manifest\.json: not a manifest \(format is null, expected a whole number\)"),
        ({"format": 10**400}, r"format 1(0{19}), expected 2; install"),
        ({"version": 1}, r"manifest\.json: not a manifest \(version is 1, expected a text\)"),
        ({"more": 1}, r"manifest\.json: not a manifest \(more is not known here\)"),
    ):
        manifest.write_text(told)
        edit(manifest, **values)
        with pytest.raises(UserError, match=message):
            read_bundle(unpacked)
    manifest.unlink()
    with pytest.raises(UserError, match="kws-bundle: not a bundle"):
        read_bundle(unpacked)


def test_nothing_is_read_but_files_in_the_folder_with_their_hash(tmp_path, unpacked, models):
    manifest = unpacked / "manifest.json"
    told = json.loads(manifest.read_text())
    for values, message in (
        ({"files": {}}, r"files does not name 'kws\.onnx'"),
        ({"files": {k: v for k, v in told["files"].items() if k != "golden.npy"}}, r"name 'golden\.npy'"),
        ({"files": {k: v for k, v in told["files"].items() if k != "detector.json"}}, r"'detector\.json'"),
        ({"model": "../../b/kws.onnx"}, r"files does not name '\.\./\.\./b/kws\.onnx'"),
        (
            {"files": told["files"] | {str(models / "kws.onnx"): "0"}},
            "files names '/.*expected files of this",
        ),
        ({"files": told["files"] | {"..": "0"}}, r"files names '\.\.'"),
        ({"files": told["files"] | {"C:kws.onnx": "0"}}, "files names 'C:kws.onnx'"),
        ({"files": told["files"] | {"none.txt": "0"}}, r"none\.txt: missing"),
    ):
        manifest.write_text(json.dumps(told | values))
        with pytest.raises(UserError, match=message):
            read_bundle(unpacked)
    manifest.write_text(json.dumps(told))
    for name in ("kws.onnx", "manifest.json"):
        (unpacked / name).rename(tmp_path / name)
        (unpacked / name).symlink_to(tmp_path / name)
        with pytest.raises(UserError, match=rf"{name}: a link to a file elsewhere"):
            read_bundle(unpacked)
        (tmp_path / name).replace(unpacked / name)
    assert read_bundle(unpacked)


@pytest.mark.parametrize("label", ["../../../x", "/tmp/x", "$(touch x)", "\x1b[2J"])
def test_labels_that_are_no_names_are_refused_wherever_they_stand(unpacked, models, tmp_path, label):
    """They would become folders of `--save-events` and words of `--command`."""
    spec = replace(SPEC, labels=["SI", label, "FONDO"], on={"SI": 0.5, label: 0.5})
    told = (unpacked / "manifest.json").read_text()
    edit(unpacked / "manifest.json", labels=spec.labels)
    with pytest.raises(
        UserError, match=r"manifest\.json: not a manifest \(label .*a label has letters, digits"
    ):
        read_bundle(unpacked)
    (unpacked / "manifest.json").write_text(told)
    write_json(unpacked / "detector.json", asdict(spec))
    files = json.loads(told)["files"] | {"detector.json": sha256(unpacked / "detector.json")}
    edit(unpacked / "manifest.json", files=files)
    with pytest.raises(
        UserError, match=r"detector\.json: not a detector .*label .*a label has letters, digits"
    ):
        read_bundle(unpacked)
    model = onnx.load(models / "kws.onnx")
    onnx.helper.set_model_props(model, {"labels": json.dumps(spec.labels), "front_end": "{}"})
    onnx.save(model, tmp_path / "kws.onnx")
    with pytest.raises(UserError, match=r"kws\.onnx: tells no labels .*label .*a label has letters, digits"):
        read_kit(tmp_path / "kws.onnx", models / "detector.json")


def point(fa_per_hour, **on):
    return {"fa_per_hour": fa_per_hour, "on": {"SI": 0.5, "NO": 0.5} | on}


def test_a_detector_of_before_there_were_operating_points_is_told(tmp_path):
    old = {key: value for key, value in asdict(SPEC).items() if key != "points"}
    (tmp_path / "detector.json").write_text(json.dumps(old))
    with pytest.raises(
        UserError, match=r"not a detector of this version \(points is missing\); make it again"
    ):
        read_spec(tmp_path / "detector.json")


def test_a_bundle_keeps_the_points_and_fires_as_it_was_packed(tmp_path, models):
    write_bundle(tmp_path / "all.tar.gz", "float", models, 10, ["SI=-1"])
    shutil.unpack_archive(tmp_path / "all.tar.gz", tmp_path, filter="data")
    detector = read_bundle(tmp_path / "kws-bundle").detector
    assert detector == adjusted(SPEC, 10, ["SI=-1"])
    assert detector.points == SPEC.points
    assert 0.4 < detector.on["SI"] < 0.75
    assert adjusted(detector, 1) == SPEC


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rules": {"level_ms": 0}}, "level_ms is 0, expected 0.001 to 60000"),
        ({"rules": {"hop_ms": 0}}, "hop_ms is 0, expected 1 to 1000"),
        ({"rules": {"smooth_ms": 1e12}}, r"smooth_ms is 1e\+12, expected 0 to 5000"),
        ({"rules": {"hop_ms": "100"}}, 'hop_ms is "100", expected a number'),
        ({"on": {"SI": float("nan"), "NO": 0.5}}, "on.SI is NaN, expected a number"),
        ({"on": {"SI": -1, "NO": 0.5}}, "on.SI is -1, expected 0 to 2"),
        ({"on": {"SI": 0.5}}, "no threshold for NO"),
        ({"labels": [1, 2, 3]}, r"labels\[0\] is 1, expected a text"),
        ({"background": "X"}, "expected keywords and the background"),
        ({"labels": ["FONDO"]}, "expected keywords and the background"),
        ({"points": [point(0.5, SI=2.5)]}, r"points\[0\].on.SI is 2.5, expected 0 to 2"),
        ({"points": [{"fa_per_hour": 1, "on": {"SI": 0.5}}]}, r"no threshold for NO in points\[0\]"),
        ({"points": [point(-1)]}, r"points\[0\].fa_per_hour is -1, expected 0 to 3600"),
        ({"points": [point(1), point(1)]}, r"points\[1\].fa_per_hour is 1, expected ascending rates"),
        ({"points": [point(1), point(2, NO=0.6)]}, r"points\[1\].on.NO is higher than at a lower rate"),
    ],
)
def test_a_detector_that_cannot_be_is_refused(tmp_path, values, message):
    written = asdict(SPEC)
    values = {key: written[key] | value if key == "rules" else value for key, value in values.items()}
    (tmp_path / "detector.json").write_text(json.dumps(written | values))
    with pytest.raises(UserError, match=rf"detector\.json: not a detector of this version \(.*{message}"):
        read_spec(tmp_path / "detector.json")


def test_the_readme_of_a_bundle_shows_how_to_hear_a_file(unpacked):
    text = (unpacked / "README.txt").read_text()
    assert "kws spot recording.wav --bundle /opt/kws-bundle" in text
    assert "--fa-per-hour 2" in text


def test_git_ignores_what_is_packed_and_unpacked():
    for name in ("kws-bundle.tar.gz", "board.tar.gz", "kws-bundle/kws.onnx"):
        assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT).returncode == 0


def test_only_what_was_compiled_from_this_model_is_packed(tmp_path, models):
    with pytest.raises(UserError, match=r"ax650n: no compiled model; make it with .*target=\[ax650n\]"):
        write_bundle(tmp_path / "out", "ax650n", models)
    folder = shutil.copytree(models, tmp_path / "models")
    write_json(folder / "host/build.json", {"inputs": {"kws.onnx": "0"}})
    with pytest.raises(UserError, match=r"compiled from another .*kws\.onnx; run `dvc repro` first"):
        write_bundle(tmp_path / "out", "host", folder)
    (folder / "host/build.json").write_text("[]")
    with pytest.raises(UserError, match=r"build\.json: not what `compile` wrote"):
        write_bundle(tmp_path / "out", "host", folder)
    assert not (tmp_path / "out").exists()


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def test_a_model_for_another_chip_is_not_packed(tmp_path, models):
    for spoil, says in (
        (lambda path: onnx.save(wrap(onnx.load(models / "kws.onnx"), "AX650", "NPU3"), path), "is for AX650"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "cannot be read"),
    ):
        shutil.copytree(models, tmp_path / "models", dirs_exist_ok=True)
        spoil(tmp_path / "models/ax630c/kws.axmodel")
        with pytest.raises(UserError, match=rf"ax630c/kws\.axmodel {says}"):
            write_bundle(tmp_path / "bundle.tar.gz", "ax630c", tmp_path / "models")
        assert not (tmp_path / "bundle.tar.gz").exists()


def test_a_model_too_new_for_the_engine_of_the_measured_board_is_not_packed(tmp_path, models):
    measured, out = tmp_path / "ax630c.json", tmp_path / "bundle.tar.gz"
    network, path = onnx.load(models / "kws.onnx"), tmp_path / "models/ax630c/kws.axmodel"
    shutil.copytree(models, tmp_path / "models")
    measured.write_text('{"simulated": false, "board": {"engine": "2.6.3sp"}}')
    write_bundle(out, "ax630c", tmp_path / "models", measured=measured)
    out.unlink()
    onnx.save(wrap(network, "AX620E", "NPU1", "7.0"), path)
    with pytest.raises(UserError, match=r"is of Pulsar2 7\.0, but the board's engine 2\.6\.3sp loads"):
        write_bundle(out, "ax630c", tmp_path / "models", measured=measured)
    measured.write_text('{"board": [')
    with pytest.raises(UserError, match=r"ax630c\.json: not what `benchmark` wrote"):
        write_bundle(out, "ax630c", tmp_path / "models", measured=measured)
    assert not out.exists()
    measured.write_text('{"simulated": true}')
    write_bundle(out, "ax630c", tmp_path / "models", measured=measured)


def test_the_wheel_holds_exactly_what_the_run_time_part_imports():
    found, todo = set(), list((PACKAGE / "runtime").glob("*.py"))
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            files = (
                ROOT / f"{name.replace('.', '/')}.py" for name in imports(path) if name.startswith("kws.")
            )
            todo += [file for file in files if file.is_file()]
    rooms = {PACKAGE, *(path.parent for path in found)}
    packed = found | {room / "__init__.py" for room in rooms}
    assert packed | set((PACKAGE / "runtime").glob("*.py")) == set(sources())


def test_the_run_time_part_is_written_for_python_3_10():
    """Syntax and standard library, by the type stubs."""
    command = [sys.executable, "-m", "mypy", "--python-version", "3.10", "--follow-imports", "silent"]
    done = subprocess.run([*command, *sources()], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


def python_3_10():
    """Return a Python 3.10, or this one where there is none."""
    candidates = [shutil.which("python3.10"), *sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python"))]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "--version"], capture_output=True).returncode == 0:
            return str(candidate)
    return sys.executable


def test_a_bare_python_runs_the_bundle(tmp_path, unpacked, recording):
    """A fresh environment: the wheel, numpy, soundfile, typer and onnxruntime, nothing else of ours."""
    uv = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)
    if uv is None:
        pytest.skip("needs uv to make an environment")
    python = tmp_path / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run([uv, "venv", "--quiet", "--python", python_3_10(), tmp_path / "env"], check=True)
    (wheel,) = unpacked.glob("*.whl")
    install = [uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([*install, "--no-deps", wheel], check=True)
    subprocess.run([*install, "numpy", "soundfile", "typer", "onnxruntime"], check=True)
    told = []
    for command in (["spot", recording, "--format"], ["listen", "--from-file", recording, "--fast"]):
        args = [*command, *(["json"] if command[0] == "spot" else ["--json"]), "--bundle", unpacked]
        done = subprocess.run([python.with_name("kws"), *args], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told.append([(t["label"], t["end"]) for t in map(json.loads, done.stdout.splitlines())])
    expected = [(event.label, round(event.end, 3)) for event in events(read_bundle(unpacked), recording)]
    assert told == [expected] * 2
    assert expected


class AxSession:
    """axengine.InferenceSession as its documentation has it, with a model of our own inside."""

    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None):
        print("[INFO] Using provider: AxEngineExecutionProvider")
        if providers != ["AxEngineExecutionProvider"]:
            raise ValueError(f"Selected provider(s): {providers} is(are) not available.")
        weights = {w.name: w.raw_data for w in onnx.load(path_or_bytes).graph.initializer}
        self.model = Classifier(weights["npu_params"])

    def get_inputs(self, shape_group=0):
        return [SimpleNamespace(name="input", shape=(1, 1, 98, 64), dtype="float32")]

    def get_outputs(self, shape_group=0):
        return [SimpleNamespace(name="output", shape=(1, 3), dtype="float32")]

    def run(self, output_names, input_feed, run_options=None, shape_group=0):
        assert output_names is None
        ((name, array),) = input_feed.items()
        assert (name, array.shape, array.dtype) == ("input", (1, 1, 98, 64), np.float32)
        assert array.flags.c_contiguous  # it copies the memory as it lies
        return self.model.session.run(None, input_feed)


@pytest.fixture
def axengine(monkeypatch):
    double = ModuleType("axengine")
    double.InferenceSession = AxSession
    monkeypatch.setitem(sys.modules, "axengine", double)


def test_the_npu_gives_the_events_of_the_cpu(tmp_path, models, recording, axengine, capsys):
    on_cpu = events(read_bundle(unpack(tmp_path / "cpu", models)), recording)
    on_npu = events(read_bundle(unpack(tmp_path / "npu", models, "ax630c")), recording)
    assert on_npu == on_cpu
    assert on_npu
    out, err = capsys.readouterr()
    assert (out, err) == ("", "[INFO] Using provider: AxEngineExecutionProvider\n")


def test_every_window_reaches_the_npu_contiguous_and_in_float32(tmp_path, models, axengine):
    model = Classifier(open_session(models / "ax630c/kws.axmodel"))
    windows = np.asfortranarray(np.random.default_rng(0).standard_normal((3, 1, 98, 64)))
    assert model.logits(windows).shape == (3, 3)


def test_a_board_without_its_engine_is_one_line(models, monkeypatch, axengine):
    npu = models / "ax630c/kws.axmodel"
    monkeypatch.setenv("KWS_AXENGINE_PROVIDER", "AXCLRTExecutionProvider")
    with pytest.raises(UserError, match=r"cannot be loaded by AXCLRTExecutionProvider \(Selected provider"):
        open_session(npu)
    monkeypatch.setitem(sys.modules, "axengine", None)
    with pytest.raises(UserError, match=r"kws\.axmodel: needs axengine on a board with its driver"):
        open_session(npu)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"kws\.onnx: needs onnxruntime; install it with"):
        open_session(models / "kws.onnx")


def test_the_wheel_is_well_formed(tmp_path):
    name, data = build_wheel("1.2.3")
    (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / name) as archive:
        assert archive.testzip() is None
        record = archive.read("kws_runtime-1.2.3.dist-info/RECORD").decode().splitlines()
        assert {line.split(",")[0] for line in record} == set(archive.namelist())
        assert b"Requires-Python: >=3.10" in archive.read("kws_runtime-1.2.3.dist-info/METADATA")
    assert "torch" not in packing.README


def test_the_projects_own_commands_include_those_of_the_board(tmp_path, models, recording):
    """`kws bundle` and `kws spot` by the command line of the pipeline, which loads none of it for them."""
    (tmp_path / "models").symlink_to(models)
    check = "assert not {'torch', 'pydantic', 'dvc'} & set(sys.modules)"
    code = f"import sys; from kws.cli import app; {check}; app()"

    def kws(*args):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code, *args]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    packed = kws("bundle", "--target", "host", "--out", "packed.tar.gz")
    assert packed.stdout.startswith("packed.tar.gz: kws.onnx for host")
    refused = kws("bundle", "--target", "ax650n")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: models/ax650n: no compiled model")
    assert refused.stderr.count("\n") == 1
    heard = kws("spot", recording, "--format", "audacity")
    assert (heard.returncode, heard.stderr) == (0, "")
    assert heard.stdout.count("\t") >= 2


def test_weights_in_another_file_are_refused(unpacked):
    """No hash covers that file."""
    graph = onnx.load(unpacked / "kws.onnx")
    onnx.save(graph, unpacked / "kws.onnx", save_as_external_data=True, location="side.bin", size_threshold=0)
    manifest = json.loads((unpacked / "manifest.json").read_text())
    edit(unpacked / "manifest.json", files=manifest["files"] | {"kws.onnx": sha256(unpacked / "kws.onnx")})
    with pytest.raises(UserError, match=r"kws\.onnx: keeps weights in another file, which no hash covers"):
        read_bundle(unpacked)
