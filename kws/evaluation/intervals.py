"""How far a measured share or rate may be off: 95 % intervals."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

FEWEST = 5
"""Groups below which resampling them says nothing of others like them."""
RESAMPLED = 2000
TAIL = (1 - 0.95) / 2


def share_interval(counts: Counts, totals: Counts, groups: Sequence[str]) -> list[float]:
    """Return [low, high] of sum(counts) / sum(totals); each entry is a unit and names its group.

    Groups are resampled (bootstrap, percentiles), because what one voice says stands or falls together; with
    fewer than FEWEST groups that have units the exact binomial interval stands in, which takes all for
    independent. None or all of n give the rule of three, 3 / n from the end (Hanley and Lippman-Hand, JAMA
    249, 1983).
    """
    hits, n = int(np.sum(counts)), int(np.sum(totals))
    if hits == 0:
        return [0.0, min(1.0, 3 / n)]
    if hits == n:
        return [max(0.0, 1 - 3 / n), 1.0]
    if len({group for group, total in zip(groups, totals, strict=True) if total}) >= FEWEST:
        return _bootstrap(counts, totals, groups)
    from scipy.stats import binomtest  # takes a second to load, and five voices do without

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
    from scipy.stats import chi2

    return [float(chi2.ppf(q, 2 * events + extra) / 2 / total) for q, extra in ((0.025, 0), (0.975, 2))]


def _bootstrap(counts: Counts, totals: Counts | NDArray[np.float64], groups: Sequence[str]) -> list[float]:
    _, group = np.unique(groups, return_inverse=True)
    count, total = (np.bincount(group, weights=values) for values in (counts, totals))
    count, total = count[total > 0], total[total > 0]
    drawn = np.random.RandomState(0).randint(0, len(total), (RESAMPLED, len(total)))
    ratios = count[drawn].sum(axis=1) / total[drawn].sum(axis=1)
    return [_quantile(np.sort(ratios), share) for share in (TAIL, 1 - TAIL)]


def _quantile(ascending: NDArray[np.float64], share: float) -> float:
    """Return the value below which this share lies, between its neighbours."""
    n = len(ascending)
    place = share * n + (1 - share)  # counted from 1
    below, rest = int(place) - 1, place % 1
    return float((1 - rest) * ascending[below] + rest * ascending[below + 1])
