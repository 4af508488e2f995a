"""Scores become events by rules that can be checked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kws.detector import Averages, Detector, DetectorSpec, Event, Rules, Trigger, read_spec, write_spec

PLAIN = Rules(
    hop_ms=100, smooth_ms=100, hold_ms=100, refractory_ms=100, release=0.5, level_ms=1000, level_share=0
)


def spec(rules=PLAIN, **on):
    return DetectorSpec(["A", "FONDO", "B"], "FONDO", 1.0, rules, {"A": 0.6, "B": 0.6} | on)


def rules(**values):
    return Rules(**{**vars(PLAIN), **values})


def spotted(scores, rules=PLAIN, **on):
    return Detector(spec(rules, **on)).push(Averages(rules, 2).push(scores))


def heard(a, b=None, rules=PLAIN, **on):
    """Windows at which each keyword fires, given their averages."""
    b = [0.0] * len(a) if b is None else b
    events = Detector(spec(rules, **on)).push(np.stack([a, b], axis=1))
    return [(event.label, round((event.end - 1) * 10)) for event in events]


def test_a_keyword_fires_when_its_score_reaches_on():
    assert heard([0, 0.59, 0.6, 0, 0]) == [("A", 2)]


def test_an_event_is_the_window_that_fired():
    (event,) = spotted(np.array([[0, 0], [0, 0], [0, 0.8]]))
    assert event == Event("B", pytest.approx(0.2), pytest.approx(1.2), pytest.approx(0.8))


def test_it_fires_again_only_after_falling_below_off():
    assert heard([0.9, 0.4, 0.9, 0.9, 0.29, 0.9]) == [("A", 0), ("A", 5)]


def test_each_keyword_has_its_own_thresholds():
    assert heard([0.5, 0, 0.5], [0.5, 0, 0.45], A=0.55, B=0.4) == [("B", 0), ("B", 2)]
    assert heard([1.0] * 5, A=2.0) == []


def test_one_utterance_gives_one_event():
    """After an event nothing fires for the refractory time, the other keywords included."""
    scores = [0.9, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1]
    others = [0.0, 0.9, 0.1, 0.9, 0.0, 0.1, 0.9]
    assert heard(scores, others, rules(refractory_ms=300)) == [("A", 0), ("B", 3), ("B", 6)]


def test_the_higher_of_two_scores_fires():
    assert heard([0.3, 0.3], [0.4, 0.4], A=0.2, B=0.2) == [("B", 0), ("A", 1)]
    assert heard([0.3, 0.3], [0.4, 0.4], rules(refractory_ms=500), A=0.2, B=0.2) == [("B", 0)]


def test_a_score_must_hold():
    assert heard([0.9, 0, 0.9, 0.9, 0.9], rules=rules(hold_ms=300)) == [("A", 4)]


def averages(scores, rules=PLAIN):
    scores = np.array(scores, np.float32)
    return Averages(rules, scores.shape[1]).push(scores)


def test_log_odds_against_the_background_are_averaged():
    """Odds of 4 and of 1/4 are even on average; before the stream nothing was heard."""
    found = averages([[0.8, 0], [0.2, 0], [0.2, 0], [0.8, 0]], rules(smooth_ms=200))[:, 0]
    assert found[0] < 0.1
    assert found[1:] == pytest.approx([0.5, 0.2, 0.5])


def test_a_keyword_loses_nothing_to_another_one_that_is_like_it():
    """Both are as likely as a single one would be, each four times as the background."""
    assert averages([[4 / 9, 4 / 9]])[0] == pytest.approx([0.8, 0.8], rel=1e-5)
    assert averages([[0.8, 0]])[0, 0] == pytest.approx(0.8)


def test_a_share_of_the_level_is_taken_from_log_odds():
    """Odds of 1/10 for both keywords, for long: half of their logarithm is left."""
    left = averages(np.full((200, 2), 1 / 12), rules(level_share=0.5))
    assert left[-1] / (1 - left[-1]) == pytest.approx(10**-0.5, rel=1e-4)


def test_a_keyword_stands_out_where_all_of_them_are_likely_a_little():
    """The same score of A counts for less in speech that was a little like B too."""
    alone = [[0.001, 0.001]] * 20 + [[0.6, 0.001]]
    among = [[0.15, 0.15]] * 20 + [[0.6, 0.15]]
    levelled = rules(level_share=0.5)
    assert averages(among, levelled)[-1, 0] < 0.95 * averages(alone, levelled)[-1, 0]


@pytest.mark.parametrize("keywords", [1, 2, 20])
def test_a_keyword_is_heard_again_right_after_itself(keywords):
    """However many keywords there are, the level of one that is heard leaves most of the next one."""
    quiet, word = np.full(keywords, 0.001), np.array([0.9, *[0.001] * (keywords - 1)])
    rows = [*[quiet] * 20, *[word] * 6, *[quiet] * 6, *[word] * 6]
    found = averages(rows, rules(smooth_ms=500, level_share=0.5))[:, 0]
    assert found[:20].max() < 0.5 < 0.9 * found[20:26].max() < found[32:].max()


scores = arrays(np.float32, st.tuples(st.integers(0, 60), st.just(2)), elements=st.floats(0, 1, width=32))
any_rules = st.builds(
    Rules,
    hop_ms=st.just(100),
    smooth_ms=st.integers(100, 500),
    hold_ms=st.integers(100, 300),
    refractory_ms=st.integers(100, 1500),
    release=st.floats(0.1, 1),
    level_ms=st.integers(100, 3000),
    level_share=st.floats(0, 1),
)


@given(scores, any_rules, st.lists(st.integers(0, 60), max_size=8))
def test_any_chunking_gives_the_same_events(scores, rules, cuts):
    averages, detector = Averages(rules, 2), Detector(spec(rules))
    parts = [detector.push(averages.push(part)) for part in np.split(scores, sorted(cuts))]
    assert [event for part in parts for event in part] == spotted(scores, rules)


@given(scores, any_rules, st.lists(st.floats(0, 1.1), min_size=1, max_size=5))
def test_a_sweep_is_many_detectors_at_once(scores, rules, thresholds):
    on = np.repeat(np.array(thresholds)[:, None], 2, axis=1)
    swept = Trigger(rules, on).push(Averages(rules, 2).push(scores))
    for row, threshold in enumerate(thresholds):
        events = spotted(scores, rules, A=threshold, B=threshold)
        mine = swept.row == row
        assert [e.score for e in events] == swept.score[mine].tolist()
        assert [e.label for e in events] == ["AB"[k] for k in swept.keyword[mine]]


@given(scores, any_rules)
def test_events_keep_their_distance(scores, rules):
    ends = [event.end for event in spotted(scores, rules)]
    assert all(np.diff(ends) >= rules.windows(rules.refractory_ms) * 0.1 - 1e-6)


def test_a_detector_is_written_and_read(tmp_path):
    write_spec(tmp_path / "detector.json", spec(A=0.123456789))
    assert read_spec(tmp_path / "detector.json") == spec(A=0.123456789)
