"""Operating points: thresholds for several rates, and what each of them costs on voices that chose none."""

from itertools import pairwise

import numpy as np
import pytest

from kws.evaluation import operating_points
from kws.evaluation.events import Outcome, confusions
from kws.evaluation.operating_points import RATES, choose_points, summarise_points
from kws.evaluation.summary import by_voice
from kws.evaluation.sweep import Tally
from kws.evaluation.thresholds import Choice, choose_thresholds

GRID = np.array([0.2, 0.4, 0.6, 0.8])


def counted(hits, wrong, near=(0, 0, 0, 0), words=10, near_misses=0, hours=1.0):
    """Streams of one keyword: counts at each threshold of one, or of several voices."""
    hits, wrong, near = (np.atleast_2d(counts)[:, :, None] for counts in (hits, wrong, near))
    n = len(hits)
    return Tally(hits, wrong, near, np.full((n, 1), words), np.full(n, near_misses), np.full(n, hours))


def test_each_rate_has_the_thresholds_that_are_chosen_for_it():
    swept = counted([10, 9, 7, 4], [12, 6, 3, 0])
    choice, found = choose_points(swept, GRID, 3)
    assert list(found) == [0.1, 0.5, 1, 2, 3, 5, 10]
    for rate, on in found.items():
        assert on.tolist() == choose_thresholds(swept, GRID, rate).on.tolist()
    assert choice.on.tolist() == found[3].tolist()
    assert found[0.5] > found[10]
    assert list(choose_points(swept, GRID, 2)[1]) == list(RATES)


def test_a_higher_rate_never_has_a_higher_threshold_and_the_target_keeps_its_own(monkeypatch):
    """Whatever the choices for single rates say."""
    chosen = {0.1: 0.55, 0.5: 0.5, 1: 0.7, 2: 0.6, 5: 0.8, 10: 0.3}
    monkeypatch.setattr(
        operating_points,
        "choose_thresholds",
        lambda *args: Choice(np.array([chosen[args[2]]]), np.zeros((0, 1)), {}, None),
    )
    for target in RATES:
        choice, found = choose_points(counted([0] * 4, [0] * 4), GRID, target)
        assert found[target].tolist() == choice.on.tolist() == [chosen[target]]
        assert all(lower >= higher for lower, higher in pairwise(found.values()))


def test_what_a_point_costs_by_hand():
    tallied = counted([[10, 8], [6, 2]], [[4, 1], [0, 0]], [[3, 0], [2, 1]], near_misses=5, hours=2.0)
    found = summarise_points([10, 0.5], tallied, ["ana", "tom"])
    assert list(found) == ["10", "0.5"]
    assert (found["10"]["recall"], found["0.5"]["recall"]) == (0.8, 0.5)
    assert (found["10"]["fa_per_hour"], found["0.5"]["fa_per_hour"]) == (1, 0.25)
    assert (found["10"]["near_miss_rate"], found["0.5"]["near_miss_rate"]) == (0.5, 0.1)
    for one in found.values():
        for name in ("recall", "fa_per_hour"):
            low, high = one[f"{name}_interval"]
            assert low < one[name] < high


def test_without_words_and_near_misses_a_point_costs_false_accepts_alone():
    (found,) = summarise_points([1], counted([0], [2], words=0), ["fan"]).values()
    assert found.keys() == {"fa_per_hour", "fa_per_hour_interval"}
    assert found["fa_per_hour"] == 2


def test_voices_are_counted_apart():
    tallied = counted([[3], [4], [0]], [[0], [0], [0]])
    assert by_voice(tallied, ["ana", "ana", "tom"]) == {
        "ana": {"n": 20, "hits": 7},
        "tom": {"n": 10, "hits": 0},
    }
    assert by_voice(counted([0], [0], words=0), ["fan"]) == {}


@pytest.mark.parametrize(("end", "n"), [(1.9, 0), (2.0, 1), (3.5, 1), (3.6, 0)])
def test_a_wrong_word_is_a_confusion_within_a_second_of_the_right_one(end, n):
    outcomes = [
        Outcome("a", "miss", "LUZ", "", 2.0, 2.5, 0.1, None),
        Outcome("a", "false accept", "", "CRUZ", end - 1, end, 0.9, None),
        Outcome("b", "miss", "SOL", "", 2.0, 2.5, 0.1, None),
        Outcome("a", "false accept", "", "LUZ", 2.0, 3.0, 0.9, None),
    ]
    assert confusions(outcomes) == [{"said": "LUZ", "heard": "CRUZ", "n": 1}] * n
