"""Whatever a user has not recorded for the evaluation, the run ends, and says what is not known."""

import json
import shutil

import numpy as np
import onnx
import pytest
import soundfile
import torch

from axera import stage
from conftest import RATE, ROOT
from kws.common.files import write_json, write_table
from kws.detector import read_spec
from kws.models import build_model
from kws.params.compose import compose
from kws.params.whole import load_params
from kws.recordings.audio import read_audio
from kws.targets.export import to_onnx
from kws.training.checkpoint import Checkpoint
from kws.training.transfer import load_encoder, start_from
from stages import paths

EVAL = ROOT / "data/eval"
SMALL = ("experiment=smoke", "model=crnn_mean", "model.hidden=8", "model.channels=[4,4]")
OWN = ("data.seeds=my/seeds", "data.eval=my/eval", 'labels=[LUZ,"MÚSICA",FONDO]', "stream.snr_db=[null]")
HOST = {"tool": "a tool", "top1_agreement": 1.0, "accuracy": 1.0, "accuracy_drop": 0.0}


def write_model(labels):
    """Write an untrained network, exported."""
    params = load_params(paths.PARAMS)
    torch.manual_seed(0)
    front_end = params.features
    network = build_model(params.model, front_end.n_frames, front_end.n_mels, len(labels))
    paths.ONNX.parent.mkdir(exist_ok=True)
    onnx.save(to_onnx(Checkpoint(network.state_dict(), labels, params.model, front_end)), paths.ONNX)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project of two keywords that has come as far as the evaluation."""
    folder = tmp_path_factory.mktemp("missing")
    for label, source in (("LUZ", "SALIR"), ("MÚSICA", "REPETIR"), ("FONDO", "FONDO")):
        shutil.copytree(ROOT / "data/seeds" / source, folder / "my/seeds" / label)
    (folder / "my/eval").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["stage"])
        patch.setattr("warnings.showwarning", None)
        negatives = f"data.negatives={ROOT}/data/negatives"
        compose(ROOT / "conf", paths.PARAMS, [*SMALL, *OWN, negatives])
        paths.RIRS.parent.mkdir(parents=True)
        np.save(paths.RIRS, np.eye(4, 800, dtype=np.float32))
        (folder / "data/none").mkdir()
        labels = ["LUZ", "MÚSICA", "FONDO"]
        for label in labels:
            assert stage("augment", label) is None
            assert stage("logmel", label) is None
        assert stage("hard") is None
        write_model(labels)
        shutil.copy(ROOT / "dvc.yaml", paths.PIPELINE)
        write_json(paths.ONNX_REPORT, {"params": 1, "macs": 1, "size_kb": 1.0, "max_abs_diff": 0.0})
        write_json(paths.benchmark("host"), HOST)
        write_json(paths.ALL_INT8, {"tool": HOST["tool"]})
        paths.VEGA.write_text("", encoding="utf-8")
        curves = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
        write_table(paths.TRAINING, curves, [dict.fromkeys(curves, 1)])
    return folder


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """A copy of it, without any recording to evaluate, made the current folder."""
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr("sys.argv", ["stage"])
    monkeypatch.setattr("warnings.showwarning", None)
    return tmp_path / "project"


def say(project, path, source):
    (project / "my/eval" / path).parent.mkdir(parents=True, exist_ok=True)
    audio = read_audio(EVAL / source, RATE)[: 3 * RATE]
    soundfile.write(project / "my/eval" / path, audio, RATE)


def words(project, *labels, voices=("ana", "berta")):
    for label in labels:
        source = {"LUZ": "SALIR", "MÚSICA": "REPETIR"}[label]
        for voice, speaker in zip(voices, ("af_heart", "am_puck"), strict=False):
            say(project, f"words/{label}/{voice}.wav", f"words/{source}/{speaker}.wav")


def near_misses(project):
    for voice, speaker in (("ana", "af_heart"), ("berta", "am_puck")):
        source = min((EVAL / "near_misses" / speaker).iterdir())
        say(project, f"near_misses/{voice}/one.wav", source)


def talk(project):
    for voice, source in (("ana", "af_heart_0003.ogg"), ("berta", "af_kore_0005.ogg")):
        say(project, f"talk/{voice}_1.wav", f"talk/{source}")


def backgrounds(project):
    for name in ("crowd", "dishes"):
        say(project, f"backgrounds/{name}.wav", f"backgrounds/{name}.ogg")


def recordings(project):
    """Long recordings of one's own, in `data.streams`."""
    text = paths.PARAMS.read_text(encoding="utf-8")
    paths.PARAMS.write_text(text.replace("streams: data/none", "streams: my/streams"), encoding="utf-8")
    (project / "my/streams").mkdir()
    noise = 0.01 * np.random.default_rng(0).standard_normal(4 * RATE)
    for name in ("kitchen", "street"):
        soundfile.write(project / f"my/streams/{name}.wav", noise, RATE)


NOT_KNOWN = "note: How often the words are heard is not known: there are no recordings by other people."
NO_STREAM = "note: No stream was measured"
FLATTER = "note: Thresholds were chosen on the very streams"
CASES = {
    "nothing": ([], set(), [NOT_KNOWN, NO_STREAM]),
    "near misses": ([near_misses], {"near_misses", "stream"}, [NOT_KNOWN]),
    "talk": ([talk], {"stream"}, [NOT_KNOWN]),
    "backgrounds": ([backgrounds], {"stream"}, [NOT_KNOWN]),
    "own streams": ([recordings], {"stream"}, [NOT_KNOWN]),
    "all but words": ([near_misses, talk, backgrounds], {"near_misses", "stream"}, [NOT_KNOWN]),
    "words": ([lambda p: words(p, "LUZ", "MÚSICA")], {"words", "stream"}, ["of 4 recordings by 2 unseen"]),
    "words of one label": (
        [lambda p: words(p, "LUZ"), talk],
        {"words", "stream"},
        ["note: How often MÚSICA is heard is not known", "my/eval/words/MÚSICA/<voice>.wav"],
    ),
    "one voice": ([lambda p: words(p, "LUZ", "MÚSICA", voices=("ana",))], {"words", "stream"}, [FLATTER]),
    "takes by one voice": (
        [lambda p: words(p, "LUZ", "MÚSICA", voices=("ana_1", "ana-02"))],
        {"words", "stream"},
        ["of 4 recordings by one unseen voice", FLATTER],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_ends_and_says_what_is_not_known(project, capfd, case):
    make, parts, says = CASES[case]
    for one in make:
        one(project)
    for name in ("streams", "evaluate", "report"):
        assert stage(name) is None
    printed = capfd.readouterr().out
    for text in says:
        assert text in printed
    known = "words" in parts
    assert ("recall          unknown" in printed) != known
    assert (NOT_KNOWN in printed) != known
    metrics = json.loads(paths.METRICS.read_text(encoding="utf-8"))
    assert set(metrics) - {"onnx", "targets", "same_source"} == parts
    detector = read_spec(paths.DETECTOR)
    assert set(detector.on) == {"LUZ", "MÚSICA"}
    assert all(0 < threshold < 1 for threshold in detector.on.values())
    page = paths.PAGE.read_text(encoding="utf-8")
    assert ('class="advice"' in page) == (("note: " in printed) or ("warning: " in printed))


def test_one_keyword_alone_is_evaluated(project, capfd):
    text = paths.PARAMS.read_text(encoding="utf-8")
    paths.PARAMS.write_text(text.replace("- MÚSICA\n", ""), encoding="utf-8")
    write_model(["LUZ", "FONDO"])
    talk(project)
    for name in ("streams", "evaluate", "report"):
        assert stage(name) is None
    assert "recall          unknown" in capfd.readouterr().out
    assert 0 < read_spec(paths.DETECTOR).on["LUZ"] < 1


def test_what_an_encoder_heard_is_evaluated_alike(project, capfd):
    """With a head that is not trained; another encoder than was heard with is refused."""
    negatives = f"data.negatives={ROOT}/data/negatives"
    compose(ROOT / "conf", paths.PARAMS, ["experiment=smoke", "model.prototypes=4", *OWN, negatives])
    shutil.copytree(ROOT / "data/encoder", "data/encoder")
    recordings(project)
    words(project, "LUZ")
    params = load_params(paths.PARAMS)
    assert stage("encoder") is None
    for label in (*params.labels, paths.HARD):
        assert stage("hear", label) is None
    for name in ("streams", "hear_eval"):
        assert stage(name) is None
    write_model(params.labels)
    assert "models/kws.onnx: its probabilities differ by" in stage("evaluate")
    network = build_model(params.model, params.features.n_frames, params.features.n_mels, 3)
    start_from(network, load_encoder(paths.ENCODER), params.features)
    checkpoint = Checkpoint(network.state_dict(), params.labels, params.model, params.features)
    onnx.save(to_onnx(checkpoint), paths.ONNX)
    capfd.readouterr()
    for name in ("evaluate", "report"):
        assert stage(name) is None
    assert "note: How often MÚSICA is heard is not known" in capfd.readouterr().out
    metrics = json.loads(paths.METRICS.read_text(encoding="utf-8"))
    assert set(metrics) - {"onnx", "targets", "same_source"} == {"words", "stream"}
