"""docs/images/speakers.png: what more training voices are worth. `python -m docs.speakers N=NAME…`

N is a number of voices, NAME the experiment, commit or branch trained with them.
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from docs.table import metrics_of

OUT = Path(__file__).parent / "images/speakers.png"
RATES = ("1", "0.1")
"""Of false accepts."""
Point = tuple[float, list[float]]


def points(metrics: dict[str, Any]) -> dict[str, Point]:
    """Return each curve's share and interval."""
    words, stream = metrics["words"], metrics["stream"]
    recall, interval = stream["recall_at_fa_per_hour"], stream["recall_at_fa_per_hour_interval"]
    return {
        "words of unseen voices": (words["accuracy"], words["interval"]),
        **{f"recall in streams at {rate} an hour": (recall[rate], interval[rate]) for rate in RATES},
    }


def main(experiments: dict[int, str]) -> None:
    """Draw both curves with their 95 % intervals."""
    found = {n: points(metrics_of(name)) for n, name in experiments.items()}
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for curve in next(iter(found.values())):
        shares, intervals = zip(*(found[n][curve] for n in found), strict=True)
        rows = list(zip(found, shares, intervals, strict=True))
        errors = [
            [share - low for _, share, (low, _) in rows],
            [high - share for _, share, (_, high) in rows],
        ]
        axes.errorbar(list(found), shares, errors, marker="o", capsize=3, label=curve)
        print(curve, *(f"{n}: {share:.1%} ({low:.0%} to {high:.0%})" for n, share, (low, high) in rows))
    axes.set(xscale="log", xlabel="voices that recorded each word, once", ylim=(0, 1.02))
    axes.set_xticks(list(found), list(found))
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main({int(n): name for n, name in (argument.split("=", 1) for argument in sys.argv[1:])})
