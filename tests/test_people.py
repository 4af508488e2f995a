"""benchmarks/people.py: what is counted, on directions whose answer is known."""

import numpy as np
import onnx
import pytest
import soundfile

from benchmarks.people import (
    SECONDS,
    Set,
    cosines,
    drawn,
    encoder_of,
    figures,
    middle,
    read_sets,
    sources,
)
from conftest import RATE, ROOT, SEEDS
from docs.people import main as lay_out_people
from kws.evaluation.halves import encoder_of as encoder_graph
from kws.recordings.audio import read_audio
from kws.targets.export import to_onnx
from kws.training.transfer import load_encoder
from pretrain.teach import unit

WORDS, SPEAKERS, TAKES = 6, 14, 2


def a_set():
    """Six words, two takes by fourteen speakers each; the audio of a clip holds only its number."""
    table = np.array([(w, s, t) for w in range(WORDS) for s in range(SPEAKERS) for t in range(TAKES)])
    audio = np.zeros((len(table), round(SECONDS * RATE)), np.float32)
    audio[:, :] = np.arange(len(table))[:, None]
    seconds = np.where(table[:, 0] == 0, 0.3, 0.8)
    return Set("toy", audio, seconds, table[:, 0], table[:, 1])


def known(noise):
    """An encoder that hears which word a clip is, and as much noise."""
    data, random = a_set(), np.random.default_rng(0)
    vectors = np.eye(WORDS)[data.words] + noise * random.standard_normal((len(data.words), WORDS))
    directions = unit(vectors.astype(np.float32))
    return lambda audio: directions[audio[:, 0].astype(int)]


def test_who_knows_all_words_hears_all():
    found = figures(a_set(), known(0.0))
    shares = {name: value for name, value in found.items() if not name.endswith("_sd")}
    assert shares == pytest.approx(dict.fromkeys(shares, 1.0))
    assert {"closed", "at_1", "at_5", "closed_short", "ten_at_1", "moved", "at_1_worst"} <= set(found)


def test_who_knows_nothing_guesses():
    found = figures(a_set(), known(100.0))
    assert found["closed"] == pytest.approx(1 / WORDS, abs=0.07)
    assert found["at_1"] < 0.1
    assert found["at_1"] <= found["at_5"]


def test_ten_recordings_know_more_than_one():
    found = figures(a_set(), known(0.5))
    assert found["at_1"] < found["ten_at_1"]


def test_nobody_is_heard_who_was_recorded():
    data = a_set()
    for own in sources(data):
        _, others = cosines(data, known(0.0)(data.audio), own)
        assert len(others) == (SPEAKERS - 1) * WORDS * TAKES
        assert not set(data.speakers[others]) & set(data.speakers[np.concatenate(own)])
    for source in drawn(data, 10):
        assert all(len(set(data.speakers[clips])) == len(clips) == 10 for clips in source)


def test_both_layouts_are_read_and_the_halves_share_no_speaker(tmp_path):
    for word, stem in (("UNO", "SALIR/000_salir"), ("DOS", "REPETIR/000_repetir")):
        audio = read_audio(SEEDS / f"{stem}.wav", RATE)
        for speaker in ("ana", "berta", "carla", "dora"):
            (tmp_path / "a" / word).mkdir(parents=True, exist_ok=True)
            (tmp_path / "b").mkdir(exist_ok=True)
            soundfile.write(tmp_path / "a" / word / f"{speaker}_2.wav", audio, RATE)
            soundfile.write(tmp_path / "b" / f"{word}_{speaker}_2.wav", audio, RATE)
    (a,), (b,) = read_sets(tmp_path / "a", None), read_sets(tmp_path / "b", None)
    assert (a.n_words, len(set(a.speakers))) == (b.n_words, len(set(b.speakers))) == (2, 4)
    halves = [read_sets(tmp_path / "a", half)[0] for half in ("choose", "report")]
    assert not set(halves[0].speakers) & set(halves[1].speakers)
    assert len(middle(a.audio, RATE)[0]) == RATE


def test_an_encoder_hears_the_same_from_its_weights_and_from_its_graph(tmp_path):
    weights = ROOT / "data/encoder/encoder.pt"
    onnx.save(encoder_graph(to_onnx(load_encoder(weights))), tmp_path / "encoder.onnx")
    audio = read_audio(SEEDS / "SALIR/000_salir.wav", RATE)
    clips = np.stack([np.pad(audio, (n, 2 * RATE))[: round(SECONDS * RATE)] for n in (RATE // 2, RATE // 4)])
    by_weights, by_graph, both = (
        encoder_of(name)(clips)
        for name in (f"{weights}", f"{tmp_path}/encoder.onnx", f"{weights}+{tmp_path}/encoder.onnx")
    )
    assert by_graph == pytest.approx(by_weights, abs=1e-4)
    assert both @ both.T == pytest.approx(by_weights @ by_weights.T, abs=1e-3)


def test_one_person_records_and_others_are_heard(tmp_path):
    """Keywords go to `words`, other words to `near_misses`; who records is not heard, and talk is linked."""
    talk, words = tmp_path / "talk", tmp_path / "said"
    for path in [talk / "long.wav"] + [
        words / word / f"{who}_{take}.wav" for word in "1234" for who in "abcdef" for take in range(7)
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, RATE // 4), RATE)
    lay_out_people(words, "said", "choose", 1, talk, tmp_path / "out")
    found = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.wav"))
    assert found == sorted(
        [
            f"eval/words/{label}/{who}_{take}.wav"
            for label in ("ONE", "THREE")
            for who in "ae"
            for take in range(5)
        ]
        + [f"eval/near_misses/{who}/{n}_{t}.wav" for n in ("two", "four") for who in "ae" for t in range(5)]
        + ["seeds/ONE/000.wav", "seeds/THREE/000.wav", "talk/long.wav"]
    )
