"""How far a measured share or rate may be off: 95 % intervals."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap, chi2

Counts = NDArray[np.int64]

FEWEST = 5
"""Groups below which resampling them says nothing of others like them."""


def share_interval(counts: Counts, totals: Counts, groups: Sequence[str]) -> list[float]:
    """Return [low, high] of sum(counts) / sum(totals); each entry is a unit and names its group.

    Groups are resampled (bootstrap, percentiles), because what one voice says stands or falls together; with
    fewer than FEWEST groups the exact binomial interval stands in, which takes all for independent. None or
    all of n give the rule of three, 3 / n from the end (Hanley and Lippman-Hand, JAMA 249, 1983).
    """
    hits, n = int(np.sum(counts)), int(np.sum(totals))
    if hits == 0:
        return [0.0, min(1.0, 3 / n)]
    if hits == n:
        return [max(0.0, 1 - 3 / n), 1.0]
    if len(set(groups)) >= FEWEST:
        return _bootstrap(counts, totals, groups)
    exact = binomtest(hits, n).proportion_ci()
    return [float(exact.low), float(exact.high)]


def rate_interval(counts: Counts, hours: NDArray[np.float64], groups: Sequence[str]) -> list[float]:
    """Return [low, high] of events an hour, as `share_interval`; the exact interval is Poisson's.

    Without any event in H hours the bound is 3 / H.
    """
    events, total = int(np.sum(counts)), float(np.sum(hours))
    if events == 0:
        return [0.0, 3 / total]
    if len(set(groups)) >= FEWEST:
        return _bootstrap(counts, hours, groups)
    return [float(chi2.ppf(q, 2 * events + extra) / 2 / total) for q, extra in ((0.025, 0), (0.975, 2))]


def _bootstrap(counts: Counts, totals: Counts | NDArray[np.float64], groups: Sequence[str]) -> list[float]:
    _, group = np.unique(groups, return_inverse=True)
    count, total = (np.bincount(group, weights=values) for values in (counts, totals))
    spoke = total > 0

    def ratio(a: NDArray[np.floating], b: NDArray[np.floating], axis: int) -> NDArray[np.floating]:
        quotient: NDArray[np.floating] = a.sum(axis=axis) / b.sum(axis=axis)
        return quotient

    samples = (count[spoke], total[spoke])
    found = bootstrap(samples, ratio, paired=True, n_resamples=2000, method="percentile", random_state=0)
    return [float(found.confidence_interval.low), float(found.confidence_interval.high)]
