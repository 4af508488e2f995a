"""Held-out recordings become clips, and models get the scores they deserve."""

from pathlib import PurePosixPath

import numpy as np
import pytest
import soundfile

from conftest import RATE, ROOT
from kws.evaluation.recordings import (
    FLOOR,
    EvalSet,
    centre,
    choose_inputs,
    find_near_misses,
    find_words,
    read_features,
)
from kws.evaluation.summary import summarise_near_misses, summarise_words
from kws.evaluation.voices import voice_of
from kws.evaluation.words import accepted, score_words, share_above, thresholds_at_recall
from kws.report.headline import headline

LABELS = ["ACOPLAR", "CANCELAR", "FONDO"]


def test_eval_words_and_near_misses_are_read_with_their_labels(params):
    words = find_words(ROOT / "data/eval", params.labels, "FONDO")
    assert len(words) == 70
    assert read_features(ROOT / "data/eval", words, params.features).shape == (70, 1, 98, 64)
    assert all(
        name == f"words/{params.labels[i]}/{name.split('/')[-1]}"
        for i, name in zip(words.labels, words.files, strict=True)
    )
    misses = find_near_misses(ROOT / "data/eval", params.labels, "FONDO")
    assert len(misses) == 220
    assert set(misses.labels) == {params.labels.index("FONDO")}


def test_what_is_not_there_is_said_and_left_out(tmp_path, params, word):
    (tmp_path / "words/REPETIR").mkdir(parents=True)
    soundfile.write(tmp_path / "words/REPETIR/me.wav", word, RATE)
    with pytest.warns(UserWarning) as warned:
        words = find_words(tmp_path, params.labels, "FONDO")
    (said,) = warned
    assert "words: no recordings of ACOPLAR CANCELAR CONTINUAR LEVANTADO PRINCIPAL SALIR, so" in str(
        said.message
    )
    assert words.files == ["words/REPETIR/me.wav"]
    with pytest.warns(UserWarning, match="near_misses: no recordings"):
        assert len(find_near_misses(tmp_path, params.labels, "FONDO")) == 0


def test_words_are_found_however_their_folder_is_spelt_and_others_named(tmp_path, params, word):
    for name in ("acoplar/me.wav", "ACOPLAR_2/me.wav", "Cancelar/me.wav", "Salida/me.wav", "a.wav"):
        (tmp_path / "words" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "words" / name, word, RATE)
    with pytest.warns(UserWarning) as warned:
        words = find_words(tmp_path, LABELS, "FONDO")
    assert words.files == ["words/ACOPLAR_2/me.wav", "words/acoplar/me.wav", "words/Cancelar/me.wav"]
    assert list(words.labels) == [0, 0, 1]
    assert set(words.voices) == {"me"}
    assert [str(w.message) for w in warned] == [
        f"{tmp_path}/words: Salida, a.wav: no label is called so; not used",
        f"{tmp_path}/words: ACOPLAR_2 and acoplar are both read as ACOPLAR",
    ]


@pytest.mark.parametrize(
    ("word", "first"), [(slice(10, 20), 5), (slice(0, 4), -8), (slice(90, 100), 85), (slice(20, 60), 30)]
)
def test_clips_are_centred_on_the_word(word, first):
    audio = np.arange(1, 101, dtype=np.float32)
    clip = centre(audio, word, 20)
    expected = [audio[i] if 0 <= i < 100 else 0 for i in range(first, first + 20)]
    assert np.abs(clip - expected).max() < 6 * FLOOR
    assert clip.all(), "digital silence"


def test_board_inputs_are_words_first_then_near_misses(params):
    where = (ROOT / "data/eval", params.labels, "FONDO")
    words, misses = find_words(*where), find_near_misses(*where)
    few = choose_inputs(words, misses, 40, seed=1)
    assert len(few) == 40
    assert all(name.startswith("words/") for name in few.files)
    many = choose_inputs(words, misses, 100, seed=1)
    assert sum(name.startswith("words/") for name in many.files) == 70
    assert len(set(many.files)) == 100
    assert len(choose_inputs(words, misses, 1000, seed=1)) == 290


def one_hot(predicted, n=3):
    return 9 * np.eye(n, dtype=np.float32)[predicted]


def test_word_scores_by_hand():
    actual = np.array([0, 0, 0, 0, 1, 1])
    scores = score_words(one_hot([0, 0, 0, 2, 1, 0]), actual, LABELS)
    assert scores["n"] == 6
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["recall"] == {"ACOPLAR": 0.75, "CANCELAR": 0.5}
    assert scores["confusion"] == {
        "ACOPLAR": {"ACOPLAR": 3, "CANCELAR": 0, "FONDO": 1},
        "CANCELAR": {"ACOPLAR": 1, "CANCELAR": 1, "FONDO": 0},
    }
    assert scores["macro_f1"] == pytest.approx((2 * 0.75 * 0.75 / 1.5 + 2 * 1 * 0.5 / 1.5) / 2)


def test_models_that_always_answer_the_same_get_what_they_deserve():
    actual = np.repeat([0, 1], 10)
    silent = score_words(one_hot(np.full(20, 2)), actual, LABELS)
    assert (silent["accuracy"], silent["macro_f1"]) == (0, 0)
    eager = score_words(one_hot(np.zeros(20, int)), actual, LABELS)
    assert (eager["accuracy"], eager["recall"]) == (0.5, {"ACOPLAR": 1, "CANCELAR": 0})
    assert not accepted(one_hot(np.full(7, 2)), [0, 1]).any()
    assert accepted(one_hot(np.zeros(7, int)), [0, 1]).all()


def test_the_closed_set_leaves_out_labels_that_do_not_occur():
    actual = np.repeat([0, 1], 10)
    nearly = score_words(one_hot(np.full(20, 2)) + one_hot(actual) / 2, actual, LABELS)
    assert (nearly["accuracy"], nearly["closed_set_accuracy"]) == (0, 1)


def eval_set(labels, voices):
    files = [f"{index}.wav" for index in range(len(labels))]
    return EvalSet(np.array(labels), files, voices)


def test_a_random_model_is_right_by_chance_and_its_interval_says_so():
    random = np.random.default_rng(0)
    actual = random.integers(0, 2, 600)
    words = eval_set(actual, [f"voice{i % 20}" for i in range(600)])
    scores = summarise_words(random.standard_normal((600, 3)).astype(np.float32), words, LABELS)
    assert scores["voices"] == 20
    low, high = scores["interval"]
    assert 0.25 < low < 1 / 3 < high < 0.42
    assert low < scores["accuracy"] < high


def test_the_threshold_decides_on_near_misses():
    logits = np.log(np.array([[0.4, 0.1, 0.5], [0.7, 0.1, 0.2], [0.05, 0.05, 0.9]], np.float32))
    rates = [share_above(logits, [0, 1], t) for t in (0.01, 0.3, 0.6, 0.9)]
    assert rates == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_near_misses_at_equal_recall_by_hand():
    words = np.log(
        np.array([[0.9, 0.05, 0.05], [0.6, 0.1, 0.3], [0.1, 0.3, 0.6], [0.5, 0.2, 0.3]], np.float32)
    )
    actual = np.array([0, 0, 1, 1])  # heard at 0.9, 0.6 and 0.3; the last is taken for the other keyword
    assert thresholds_at_recall(words, actual, [0, 1], (0.25, 0.5, 0.75, 1)) == pytest.approx(
        {0.25: 0.9, 0.5: 0.6, 0.75: 0.3}
    )
    misses = np.log(np.array([[0.7, 0.1, 0.2], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8]], np.float32))
    found = summarise_near_misses(
        misses, eval_set([2] * 3, ["a", "a", "b"]), words, eval_set(actual, ["w"] * 4), [0, 1]
    )
    assert found["n"] == 3
    assert found["false_accept_rate"] == pytest.approx(2 / 3)
    assert found["at_recall"] == pytest.approx({"0.5": 1 / 3, "0.7": 2 / 3})


def test_near_misses_without_words_have_no_recall_to_compare_at():
    misses = one_hot([0, 2])
    none = eval_set([], [])
    found = summarise_near_misses(misses, eval_set([2, 2], ["a", "b"]), misses[:0], none, [0, 1])
    assert (found["n"], found["voices"], found["false_accept_rate"], found["at_recall"]) == (2, 2, 0.5, {})


@pytest.mark.parametrize(
    ("recording", "voice"),
    [
        ("ana.wav", "ana"),
        ("p4-00.wav", "p4"),
        ("p4-01.wav", "p4"),
        ("af_heart_0003.ogg", "af_heart"),
        ("af_heart.wav", "af_heart"),
        ("p4/7.wav", "p4"),
        ("p4/late/7.wav", "p4"),
        ("01.wav", "01"),
        ("voice2.wav", "voice2"),
    ],
)
def test_takes_by_one_speaker_are_one_voice(recording, voice):
    assert voice_of(PurePosixPath(recording)) == voice


def test_the_headline_shows_what_was_measured_and_nothing_else():
    metrics = {"same_source": {"accuracy": 0.997}, "targets": {}}
    unknown = "recall          unknown  no words by unseen voices in any stream"
    assert headline(metrics) == ["same source       99.7%  validation clips, siblings of training", unknown]
    metrics |= {
        "words": {"n": 70, "voices": 10, "accuracy": 0.5},
        "near_misses": {"n": 9, "false_accept_rate": 1 / 3},
    }
    metrics["targets"]["chip"] = {"tool": "p", "simulated": True, "top1_agreement": 0.5}
    metrics["targets"]["board"] = {"tool": "b", "latency_ms": {"mean": 1.06}, "top1_agreement": 1}
    metrics["targets"]["host"] = {"tool": "a tool 1.0", "latency_ms": {"p50": 0.251}, "top1_agreement": 1}
    assert headline(metrics)[1:] == [
        "words             50.0%  of 70 recordings by 10 unseen voices",
        "near misses       33.3%  of 9 similar words accepted",
        unknown,
        "chip                  -  simulated, so no time is known; compiled and float agree on 50.0% (p)",
        "board           1.06 ms  mean of one inference; compiled and float agree on 100.0% (b)",
        "host            0.25 ms  median of one inference; compiled and float agree on 100.0% (a tool 1.0)",
    ]
    without = {name: part for name, part in metrics.items() if name != "words"}
    assert "near misses       33.3%  of 9 other words accepted" in headline(without)
    stream = {"hours": 2.0, "fa_per_hour": 4.5, "fa_per_hour_interval": [1.5, 12.2]}
    metrics["stream"] = stream | {"keywords": 105, "recall": 0.41}
    assert headline(metrics)[3:5] == [
        "recall            41.0%  of 105 words in streams, at the chosen thresholds",
        "false accepts     4.5/h  95 % interval 1.5 to 12, in 2.0 h",
    ]
    metrics["stream"] = stream | {"fa_per_hour": 0.0, "fa_per_hour_interval": [0.0, 1.5]}
    assert headline(metrics)[4] == "false accepts     0.0/h  none in 2.0 h: below 1.5 an hour"
