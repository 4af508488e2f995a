"""What the encoder heard of an evaluation, and a head on it, give what the whole model gives."""

import shutil

import numpy as np
import onnx
import pytest
import soundfile
from onnx import numpy_helper

from conftest import RATE, ROOT
from kws.common.errors import UserError
from kws.evaluation import heard
from kws.evaluation.answers import of_head, of_model
from kws.evaluation.halves import encoder_of, head_of
from kws.evaluation.scoring import score_streams
from kws.evaluation.streams import Stream
from kws.models.encoder import EMBEDDING
from kws.runtime.inference import Classifier
from kws.targets.export import to_onnx
from kws.training.transfer import load_encoder

HOP_MS = 100
SEED = 3


@pytest.fixture(scope="module")
def model():
    return to_onnx(load_encoder(ROOT / "data/encoder/encoder.pt"))


@pytest.fixture(scope="module")
def streams(tmp_path_factory, fan, word):
    """12.3 s with two words, and a recording that is shorter than a window."""
    folder, audio = tmp_path_factory.mktemp("streams"), fan[: int(12.3 * RATE)].copy()
    for start in (2.0, 9.5):
        audio[int(start * RATE) :][: len(word)] += word
    found = []
    for name, samples in (("long.wav", audio), ("short.wav", fan[: RATE // 2])):
        soundfile.write(folder / name, samples, RATE, "FLOAT")
        found.append(Stream(folder / name, name, name, "clean", False, []))
    return found


@pytest.fixture(scope="module")
def clips(front_end):
    return np.random.default_rng(0).standard_normal((70, 1, 98, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model, streams, clips, front_end):
    """What the encoder heard of two streams, 70 words and no near miss."""
    folder, encoder = tmp_path_factory.mktemp("heard"), Classifier(encoder_of(model).SerializeToString())
    heard.hear_clips(folder / heard.WORDS, encoder, clips, SEED)
    heard.hear_clips(folder / heard.NEAR_MISSES, encoder, clips[:0], SEED)
    heard.hear_streams(folder, encoder, streams, front_end, HOP_MS, SEED)
    return folder


def test_a_head_answers_as_the_whole_model_to_the_bit(folder, model, streams, clips, front_end, tmp_path):
    path = tmp_path / "kws.onnx"
    onnx.save(model, path)
    val = Classifier(encoder_of(model).SerializeToString()).logits(clips[:5])
    by_head = of_head(path, [val[:3], val[3:]], (clips[:1], val[:1]), folder, (70, 0), streams, SEED)
    whole = of_model(path, [clips[:3], clips[3:5]], [clips, clips[:0]], streams, front_end, HOP_MS)
    for part in ("val", "words", "near_misses"):
        assert np.array_equal(getattr(by_head, part), getattr(whole, part)), part
    assert [scores.shape[0] for _, scores in whole.streams] == [114, 0]
    for (seconds, scores), (expected_s, expected) in zip(by_head.streams, whole.streams, strict=True):
        assert seconds == expected_s
        assert np.array_equal(scores, expected)


@pytest.mark.parametrize("piece_s", [0.05, 1, 2.5])
def test_pieces_of_a_stream_give_what_the_whole_gives(
    model, streams, front_end, tmp_path, monkeypatch, piece_s
):
    onnx.save(model, tmp_path / "kws.onnx")
    whole = score_streams(tmp_path / "kws.onnx", streams, front_end, HOP_MS)
    monkeypatch.setattr("kws.evaluation.scoring.PIECE_S", piece_s)
    for (_, scores), (_, expected) in zip(
        score_streams(tmp_path / "kws.onnx", streams, front_end, HOP_MS), whole, strict=True
    ):
        assert np.array_equal(scores, expected)


def test_nan_is_no_agreement(model, clips):
    whole, head = Classifier(model.SerializeToString()), Classifier(head_of(model).SerializeToString())
    good = Classifier(encoder_of(model).SerializeToString()).logits(clips[:1])
    with pytest.raises(UserError, match="differ by nan"):
        heard.compare(whole, head, [(clips[:1], good * np.nan), (clips[:1], good)])


@pytest.mark.parametrize("name", ["words.npy", "words_drawn.npy"])
def test_what_was_heard_of_fewer_clips_is_one_line(folder, model, streams, tmp_path, name):
    shutil.copytree(folder, tmp_path / "heard")
    np.save(tmp_path / "heard" / name, np.load(folder / name)[:0])
    onnx.save(model, tmp_path / "kws.onnx")
    nothing = np.zeros((0, 1, 98, 64), np.float32), np.zeros((0, EMBEDDING), np.float32)
    with pytest.raises(UserError, match=r"words.*\.npy: holds [01] .*, expected"):
        of_head(tmp_path / "kws.onnx", [], nothing, tmp_path / "heard", (70, 0), streams, SEED)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda heard: (heard / "words_drawn.npy").unlink(), r"words_drawn\.npy: is missing; run"),
        (
            lambda heard: np.save(heard / "stream_00000.npy", np.zeros((114, 9), np.float32)),
            rf"stream_00000\.npy: holds directions of 9 numbers, expected {EMBEDDING}; run",
        ),
        (
            lambda heard: np.save(heard / "words.npy", np.full((70, EMBEDDING), np.inf, np.float32)),
            r"words\.npy: holds values that are no numbers; remove it",
        ),
    ],
)
def test_what_the_head_cannot_be_compared_by_is_one_line(folder, model, streams, tmp_path, damage, said):
    shutil.copytree(folder, tmp_path / "heard")
    damage(tmp_path / "heard")
    onnx.save(model, tmp_path / "kws.onnx")
    nothing = np.zeros((0, 1, 98, 64), np.float32), np.zeros((0, EMBEDDING), np.float32)
    with pytest.raises(UserError, match=said):
        of_head(tmp_path / "kws.onnx", [], nothing, tmp_path / "heard", (70, 0), streams, SEED)


def test_one_window_of_a_hundred_is_drawn_from_each_set(folder):
    drawn = {path.stem: len(np.load(path)) for path in folder.glob("*_drawn.npy")}
    assert drawn == {
        "words_drawn": 1,
        "near_misses_drawn": 0,
        "stream_00000_drawn": 2,
        "stream_00001_drawn": 0,
    }


def changed(model, part):
    """The same model with one weight of a part of it a little larger."""
    other = onnx.ModelProto.FromString(model.SerializeToString())
    own = {weight.name for weight in part(model).graph.initializer}
    weight = max((w for w in other.graph.initializer if w.name in own), key=lambda w: np.prod(w.dims))
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
    return Classifier(other.SerializeToString()), Classifier(head_of(other).SerializeToString())


def test_a_model_with_another_encoder_than_was_heard_with_is_refused(folder, model):
    head = Classifier(head_of(model).SerializeToString())
    windows = list(heard.read_drawn(folder, SEED, head))
    assert heard.compare(*changed(model, head_of), windows) <= heard.AGREE
    with pytest.raises(UserError, match=r"models/kws\.onnx: its probabilities differ by .* from those of"):
        heard.compare(*changed(model, encoder_of), windows)


def test_what_was_heard_of_other_streams_is_refused(folder, model, streams):
    head = Classifier(head_of(model).SerializeToString())
    with pytest.raises(UserError, match="was made of other streams; run `dvc repro`"):
        heard.score_streams(folder, head, streams[:1])
