"""Streams with known scores give the recall, false accepts and latency that a hand would count."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from kws.detector import Detector, DetectorSpec, Rules, Trigger
from kws.evaluation.events import list_outcomes, loudest, peaks
from kws.evaluation.matching import FALSE_ACCEPT, HIT, NEAR_MISS, match
from kws.evaluation.spotting import LOUDEST, evaluate_streams
from kws.evaluation.streams import Spoken, Stream
from kws.evaluation.summary import det_points
from kws.evaluation.sweep import GRID, Heard, Tally, tally, uniform
from kws.evaluation.thresholds import NEVER, choose_thresholds

KEYWORDS = ["A", "B"]
RULES = Rules(
    hop_ms=100, smooth_ms=100, hold_ms=100, refractory_ms=500, release=0.5, level_ms=1000, level_share=0
)


def stream(seconds, spoken, **fires):
    """Scores of 0 but where a keyword peaks: A=[(time, score), …], the time at which its window ends."""
    scores = np.zeros((round((seconds - 1) * 10) + 1, 2))
    for keyword, peaks_ in fires.items():
        for time, score in peaks_:
            scores[round((time - 1) * 10), KEYWORDS.index(keyword)] = score
    return Heard(seconds, scores, spoken)


TALK = stream(
    20,
    [Spoken("A", 2, 2.6), Spoken("B", 5, 5.6), Spoken("FONDO", 9, 9.6), Spoken("A", 12, 12.6)],
    # hit after 0.4 s · the same word again · in a near miss · nothing said · too late for the last word
    A=[(3.0, 0.9), (3.6, 0.8), (10.0, 0.7), (16.0, 0.6), (13.7, 0.9)],
    B=[(5.2, 0.5), (12.5, 0.55)],  # hit before the word ends · the wrong word
)


def counts(on):
    return tally([TALK], KEYWORDS, RULES, 1.0, uniform(np.array([on]), KEYWORDS))


def test_a_stream_by_hand():
    found = counts(0.5)
    assert found.hits[0, 0].tolist() == [1, 1]
    assert found.false_accepts[0, 0].tolist() == [3, 1]  # twice, 16.0 and 13.7 · the wrong word
    assert found.near_accepts[0, 0].tolist() == [1, 0]
    assert found.recall[0] == pytest.approx(2 / 3)
    assert found.fa_per_hour[0] == pytest.approx(4 / (20 / 3600))
    assert counts(0.65).false_accepts.sum() == 2
    assert counts(0.95).hits.sum() == 0


def test_outcomes_by_hand():
    outcomes = list_outcomes("talk", TALK, KEYWORDS, RULES, 1.0, np.array([0.5, 0.5]))
    assert [(o.kind, o.said, o.heard, round(o.end, 1)) for o in outcomes] == [
        ("hit", "A", "A", 2.6),
        ("false accept", "", "A", 3.6),
        ("hit", "B", "B", 5.6),
        ("near miss", "FONDO", "A", 9.6),
        ("false accept", "", "B", 12.5),
        ("miss", "A", "", 12.6),
        ("false accept", "", "A", 13.7),
        ("false accept", "", "A", 16.0),
    ]
    assert [o.latency for o in outcomes if o.kind == "hit"] == pytest.approx([0.4, -0.4])
    assert [o.score for o in outcomes if o.kind == "miss"] == [0]


def test_loudest_are_false_accepts_with_the_highest_score_they_reached():
    rising = stream(20, [Spoken("A", 2, 2.6)], A=[(3.0, 0.9), (8.0, 0.4), (8.1, 0.7)], B=[(12.0, 0.6)])
    found = loudest("talk", rising, KEYWORDS, RULES, 1.0, np.array([0.3, 0.3]))
    assert [(o.heard, round(o.end, 1), o.score) for o in found] == [("A", 8.0, 0.7), ("B", 12.0, 0.6)]


def test_peaks_by_hand():
    found = peaks([TALK], KEYWORDS, RULES, 1.0)
    assert found.keywords == [0.9, 0.5, 0]
    assert found.near_misses == [0.7]
    assert sorted(found.other)[-2:] == [0.6, 0.9]


def test_an_interval_ends_a_second_after_its_word():
    words = [Spoken("A", 2, 3)]
    fired = Trigger(RULES, np.array([[0.5, 0.5]])).push(np.zeros((1, 2)))
    for end, outcome in ((1.9, FALSE_ACCEPT), (2.0, HIT), (4.0, HIT), (4.1, FALSE_ACCEPT)):
        one = type(fired)(np.array([0]), np.array([0]), np.array([0]), np.array([1.0]))
        assert match(one, np.array([end]), words, KEYWORDS).outcome.tolist() == [outcome]
        other = type(fired)(np.array([0]), np.array([0]), np.array([1]), np.array([1.0]))
        assert match(other, np.array([end]), words, KEYWORDS).outcome.tolist() == [FALSE_ACCEPT]


def test_a_word_goes_before_a_near_miss_beside_it():
    fired = Trigger(RULES, np.array([[0.5, 0.5]])).push(np.array([[0.9, 0]]))
    spoken = [Spoken("FONDO", 0.2, 0.6), Spoken("A", 0.8, 1.0)]
    assert match(fired, np.array([1.0]), spoken, KEYWORDS).outcome.tolist() == [HIT]
    assert match(fired, np.array([1.0]), spoken[:1], KEYWORDS).outcome.tolist() == [NEAR_MISS]


def random_streams(n, answer):
    """Streams of five minutes with ten words each, and what `answer` makes of them."""
    random, streams = np.random.default_rng(0), []
    for _ in range(n):
        starts = 30.0 * np.arange(10) + random.uniform(0, 20, 10)
        spoken = [Spoken(KEYWORDS[i % 2], s, s + 0.6) for i, s in enumerate(starts)]
        streams.append(Heard(300, answer(random, 2991, spoken), spoken))
    return streams


def evaluated(streams, target=0.5):
    described = [
        Stream(None, f"{i}/clean.flac", f"{i}", "clean", i % 2 == 1, s.spoken) for i, s in enumerate(streams)
    ]
    return evaluate_streams(described, streams, KEYWORDS, RULES, 1.0, target)


def never(random, n, spoken):
    return np.zeros((n, 2))


def always(random, n, spoken):
    return np.tile([1.0, 0.0], (n, 1))


def guessing(random, n, spoken):
    return random.dirichlet([1, 1, 1], n)[:, :2]


def perfect(random, n, spoken):
    scores = np.full((n, 2), 0.01)
    for word in spoken:
        scores[round((word.end - 0.8) * 10), KEYWORDS.index(word.label)] = 0.99
    return scores


def test_a_model_that_always_answers_background_hears_nothing_and_disturbs_nobody():
    found = evaluated(random_streams(12, never)).summary
    assert (found["recall"], found["fa_per_hour"]) == (0, 0)
    assert found["hours"] == pytest.approx(0.5) == found["tuning_hours"]
    assert found["fa_per_hour_interval"] == [0, pytest.approx(3 / 0.5)]
    assert set(found["recall_at_fa_per_hour"].values()) == {0}


def test_a_model_that_always_answers_a_keyword_fires_once_and_hears_nothing():
    """It never falls below `off` again."""
    found = evaluated(random_streams(4, always))
    assert found.thresholds[0] == NEVER
    assert found.summary["apart"] == {"A": pytest.approx(12)}
    assert found.summary["recall"] == 0
    assert found.summary["recall_at_fa_per_hour"]["1"] == 0


def test_a_detector_that_never_falls_silent_is_no_good_detector():
    """At thresholds below all scores it fires once: that row does not count as one with few false accepts."""
    hits, wrong = np.array([[[3], [5], [4], [2]]]), np.array([[[1], [90], [2], [0]]])
    swept = Tally(hits, wrong, 0 * hits, np.array([[6]]), np.zeros(1), np.array([1.0]))
    assert [swept.row_at(rate) for rate in (100, 10, 1, 0.1)] == [1, 2, 3, 3]
    assert [p["miss_rate"] for p in det_points(swept, GRID[:4])] == pytest.approx([4 / 6, 2 / 6, 1 / 6])


def test_a_guessing_model_has_recall_only_at_the_price_of_false_accepts():
    found = evaluated(random_streams(6, guessing))
    assert found.summary["recall_at_fa_per_hour"]["1"] < 0.1
    loose = found.det[-1]
    assert loose["miss_rate"] < 0.7
    assert loose["fa_per_hour"] > 1000


def test_a_perfect_model_hears_all_without_a_false_accept():
    found = evaluated(random_streams(12, perfect))
    assert found.summary["recall"] == found.summary["macro_recall"] == 1
    assert found.summary["recall_interval"] == [1 - 3 / 60, 1]
    assert found.summary["fa_per_hour"] == 0
    assert found.summary["recall_at_fa_per_hour"] == {"10": 1, "1": 1, "0.5": 1, "0.1": 1}
    assert 150 <= found.summary["latency_ms"]["p50"] <= 250
    assert all(0.2 < threshold < 0.99 for threshold in found.thresholds)


def test_the_points_come_with_what_they_cost_and_the_target_among_them():
    found = evaluated(random_streams(6, guessing), target=3)
    rates = [point.fa_per_hour for point in found.points]
    assert rates == [0.1, 0.5, 1, 2, 3, 5, 10]
    assert found.points[4].on == found.summary["threshold"]
    told = found.summary["points"]
    assert list(told) == ["0.1", "0.5", "1", "2", "3", "5", "10"]
    for name in ("recall", "fa_per_hour"):
        assert told["3"][name] == found.summary[name]
    voices = found.summary["per_voice"]
    assert list(voices) == ["0", "2", "4"]
    assert (
        sum(v["hits"] for v in voices.values()) / sum(v["n"] for v in voices.values()) == told["3"]["recall"]
    )


def test_thresholds_are_chosen_on_one_half_and_measured_on_the_other():
    """False accepts in the reported half alone do not change the thresholds, those in the other half do."""

    def noisy(which):
        streams = random_streams(4, perfect)
        for index in which:
            streams[index].averages[np.arange(30, 2900, 290), 0] = 0.995
        return evaluated(streams)

    clean, reported, tuning = noisy([]), noisy([0, 2]), noisy([1, 3])
    assert clean.summary["apart"] == reported.summary["apart"] == {}
    assert tuning.summary["apart"] == {"A": pytest.approx(120)}
    assert reported.thresholds.tolist() == clean.thresholds.tolist()
    assert reported.summary["fa_per_hour"] > 60 > clean.summary["fa_per_hour"]
    assert tuning.thresholds[0] > 0.995 > clean.thresholds[0]
    assert reported.loudest == clean.loudest == []
    assert {o.stream for o in tuning.loudest} == {"1/clean.flac", "3/clean.flac"}
    assert {(o.heard, o.score) for o in tuning.loudest} == {("A", 0.995)} and len(tuning.loudest) == LOUDEST


def test_a_single_voice_cannot_be_halved():
    found = evaluated(random_streams(1, perfect))
    assert found.summary["recall"] == 1
    assert found.summary["tuning_hours"] == 0


def exponential(random, hours, n_per_hour=60):
    """Counts of scores whose log-odds exceed 0 by 1 on average, in streams of half an hour each."""
    found = random.exponential(1.0, (round(2 * hours), n_per_hour // 2, 1))
    wrong = (1 / (1 + np.exp(-found[:, :, :, None])) >= GRID).sum(axis=1).swapaxes(1, 2)
    return Tally(wrong, wrong, wrong * 0, wrong[:, 0], np.zeros(len(wrong)), np.full(len(wrong), 0.5))


@pytest.mark.parametrize("hours", [0.5, 2, 10])
@pytest.mark.parametrize("target", [0.5, 1, 2, 10])
def test_as_many_false_accepts_as_asked_for_are_to_be_expected_on_other_streams(hours, target):
    """Also where there are too few hours to count so few; 60 an hour exceed log-odds of 0."""
    random, expected = np.random.default_rng(0), []
    for _ in range(100):
        choice = choose_thresholds(exponential(random, hours), GRID, target)
        expected.append(60 * (1 - choice.on[0]) / choice.on[0])
    assert target / 1.5 < np.median(expected) < 1.5 * target


@pytest.mark.parametrize("hours", [2, 10])
def test_the_interval_holds_the_rate_to_be_expected(hours):
    random, inside = np.random.default_rng(0), []
    for _ in range(40):
        choice = choose_thresholds(exponential(random, hours), GRID, 1)
        low, high = choice.fa_per_hour_interval
        inside.append(low <= 60 * (1 - choice.on[0]) / choice.on[0] <= high)
    assert np.mean(inside) > 0.8


def test_more_false_accepts_are_asked_for_with_a_lower_threshold():
    swept = exponential(np.random.default_rng(0), 2)
    on = [choose_thresholds(swept, GRID, target).on[0] for target in (0.1, 0.5, 1, 2, 5, 10, 20)]
    assert sorted(set(on), reverse=True) == on


def test_a_threshold_lies_between_the_negatives_and_the_words():
    grid = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    hits = np.array([[[3], [3], [3], [3], [0]]])
    wrong = np.array([[[2], [0], [0], [0], [0]]])
    swept = Tally(hits, wrong, 0 * hits, np.array([[3]]), np.zeros(1), np.array([1.0]))
    assert choose_thresholds(swept, grid, 0).on.tolist() == [0.3]


def test_a_keyword_that_no_threshold_keeps_quiet_never_fires():
    grid = np.array([0.1, 0.5])
    swept = Tally(
        np.array([[[3], [3]]]),
        np.array([[[2], [1]]]),
        np.zeros((1, 2, 1)),
        np.array([[3]]),
        np.zeros(1),
        np.array([1.0]),
    )
    assert choose_thresholds(swept, grid, 0).on.tolist() == [NEVER]


def test_without_words_the_threshold_is_the_lowest_that_keeps_silent():
    grid = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    wrong = np.array([[[2], [1], [0], [0], [0]]])
    swept = Tally(0 * wrong, wrong, 0 * wrong, np.array([[0]]), np.zeros(1), np.array([1.0]))
    assert choose_thresholds(swept, grid, 0).on.tolist() == [0.3]


def test_a_keyword_that_fires_at_everything_does_not_take_the_others_with_it():
    """The third of three fires once a minute and more where the others have long been silent."""
    grid = np.array([0.1, 0.3, 0.5, 0.9])
    hits = np.array([[[9, 9, 0], [8, 9, 0], [2, 1, 0], [0, 0, 0]]])
    wrong = np.array([[[5, 3, 400], [0, 0, 90], [0, 0, 30], [0, 0, 0]]])
    swept = Tally(hits, wrong, 0 * hits, np.array([[9, 9, 9]]), np.zeros(1), np.array([1.0]))
    choice = choose_thresholds(swept, grid, 0.5)
    assert choice.on.tolist() == [0.3, 0.3, 0.9]
    assert choice.apart == {2: 90.0}
    wrong[0, 1, 2] = 50
    together = choose_thresholds(swept, grid, 0.5)
    assert (together.on >= 0.9).all()
    assert together.apart == {}


def test_near_misses_may_not_fire_where_no_words_tell_what_that_costs():
    """They are loud in each voice, and talk is quiet."""

    def loud(random, n, spoken):
        scores = np.full((n, 2), 0.01)
        for word in spoken:
            scores[round((word.end - 0.8) * 10), 0] = 0.9
        return scores

    streams = random_streams(4, loud)
    near = [replace(s, spoken=[replace(w, label="FONDO") for w in s.spoken]) for s in streams]
    found = evaluated(near)
    assert "recall" not in found.summary
    assert found.summary["near_misses"]["false_accept_rate"] == 0
    assert (found.thresholds > 0.9).all()


def test_the_trade_off_only_falls():
    streams = random_streams(6, guessing)
    points = det_points(tally(streams, KEYWORDS, RULES, 1.0, uniform(GRID, KEYWORDS)), GRID)
    assert points[0]["fa_per_hour"] == pytest.approx(0.5 / 0.5)
    for worse, better in pairwise(points):
        assert worse["fa_per_hour"] < better["fa_per_hour"]
        assert worse["miss_rate"] > better["miss_rate"]
        assert worse["threshold"] > better["threshold"]
    assert len(points) > 10


def test_outcomes_are_the_events_of_the_detector():
    (guessed,) = random_streams(1, guessing)
    on = {"A": 0.7, "B": 0.8}
    outcomes = list_outcomes("x", guessed, KEYWORDS, RULES, 1.0, np.array([0.7, 0.8]))
    spec = DetectorSpec(["A", "B", "FONDO"], "FONDO", 1.0, RULES, on)
    events = Detector(spec).push(guessed.averages)
    assert len(events) == sum(o.kind != "miss" for o in outcomes) > 20
    assert sorted(e.score for e in events) == sorted(o.score for o in outcomes if o.kind != "miss")


def test_a_keyword_that_is_louder_in_talk_gets_a_threshold_of_its_own():
    """Half of what it is louder by, so that the other need not be as deaf; the rate is that of both."""
    random, given = np.random.default_rng(0), []
    louder = np.array([0.0, 3.0])

    def sample(hours):
        found = random.exponential(1.0, (1, round(60 * hours), 2)) + louder
        wrong = (1 / (1 + np.exp(-found[:, :, :, None])) >= GRID).sum(axis=1).swapaxes(1, 2)
        return Tally(wrong, wrong, wrong * 0, wrong[:, 0], np.zeros(1), np.array([float(hours)]))

    for _ in range(40):
        on = choose_thresholds(sample(4), GRID, 2).on
        odds = np.log(on / (1 - on))
        assert odds[1] - odds[0] == pytest.approx(1.5, abs=0.6)
        given.append(60 * np.exp(louder - odds).clip(max=1).sum())
    assert np.median(given) == pytest.approx(2, rel=0.5)


@pytest.mark.parametrize("n", [1, 2, 20])
def test_any_number_of_keywords_is_heard_at_the_rate_asked_for(n):
    random, given = np.random.default_rng(n), []
    for _ in range(100):
        found = random.exponential(1.0, (1, 120, n))
        wrong = (1 / (1 + np.exp(-found[:, :, :, None])) >= GRID).sum(axis=1).swapaxes(1, 2)
        on = choose_thresholds(
            Tally(wrong, wrong, 0 * wrong, wrong[:, 0], np.zeros(1), np.ones(1)), GRID, 1
        ).on
        given.append(120 * ((1 - on) / on).clip(max=1).sum())
    assert 1 / 1.5 < np.median(given) < 1.5
