"""Intervals hold what they promise."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from kws.evaluation.intervals import rate_interval, share_interval


def share(hits, n, groups=None):
    return share_interval(np.array(hits), np.array(n), groups or [f"{i}" for i in range(len(hits))])


def test_none_and_all_of_n_are_bounded_by_three_in_n():
    assert share([0, 0], [50, 100]) == [0, pytest.approx(3 / 150)]
    assert share([50, 100], [50, 100]) == [pytest.approx(1 - 3 / 150), 1]
    assert rate_interval(np.array([0, 0]), np.array([0.5, 1.0]), ["a", "b"]) == [0, 2]


def test_few_groups_get_the_exact_interval():
    low, high = share([8], [10])
    assert (low, high) == (pytest.approx(0.4439, abs=1e-3), pytest.approx(0.9748, abs=1e-3))
    low, high = rate_interval(np.array([4]), np.array([2.0]), ["a"])
    assert (low, high) == (pytest.approx(1.09 / 2, abs=1e-2), pytest.approx(10.24 / 2, abs=1e-2))


def test_groups_without_units_are_no_groups():
    """One voice that says keywords is one, however many others talk in between."""
    talk = share([7, *[0] * 9], [9, *[0] * 9])
    assert talk == share([7], [9])
    assert talk[1] - talk[0] > 0.4


def test_voices_that_differ_widen_the_interval():
    hits = np.array([10, 10, 10, 0, 0, 0, 10, 0, 10, 0])
    whole = share(hits, np.full(10, 10))
    alone = share(np.repeat([1, 0], 50), np.ones(100, int))
    assert whole[1] - whole[0] > 2.5 * (alone[1] - alone[0])


def test_units_of_one_group_are_resampled_together():
    units = share(np.repeat([1, 0], 50), np.ones(100, int), ["ab"[i // 50] + str(i % 5) for i in range(100)])
    groups = share([10] * 5 + [0] * 5, [10] * 10)
    assert units == pytest.approx(groups, abs=0.05)


def test_bootstrap_intervals_cover_the_truth_about_as_often_as_they_say():
    random, covered = np.random.default_rng(0), 0
    for _ in range(100):
        low, high = share(random.binomial(10, 0.4, 30), np.full(30, 10))
        covered += low <= 0.4 <= high
    assert covered >= 88


def test_the_bootstrap_is_that_of_scipy_to_the_bit():
    """Which takes a second to load, in a stage that takes three."""

    def ratio(a, b, axis):
        return a.sum(axis=axis) / b.sum(axis=axis)

    random = np.random.default_rng(1)
    for n in range(5, 25):
        hits, said = random.integers(0, 5, n).astype(float), random.integers(5, 9, n).astype(float)
        expected = bootstrap(
            (hits, said), ratio, paired=True, n_resamples=2000, method="percentile", random_state=0
        ).confidence_interval
        assert share(hits, said, [f"{i:02}" for i in range(n)]) == [expected.low, expected.high]
