"""Experiments side by side, from the numbers that DVC keeps of each: `python -m docs.table NAME…`."""

import json
import sys
from typing import Any

from dvc.api import DVCFileSystem
from dvc.scm import RevError

RATES = ("10", "1", "0.5", "0.1")
HEADER = ["experiment", "words", "closed set", "near misses", "recall at 10/h"]
HEADER += [*(f"at {rate}/h" for rate in RATES[1:]), "hours", "same source", "INT8 loses"]


def cells(name: str, metrics: dict[str, Any]) -> list[str]:
    """Return the row of one experiment; a dash is what it did not measure."""
    words, near_misses, stream = (metrics.get(part, {}) for part in ("words", "near_misses", "stream"))
    recall, intervals = (
        stream.get(key, {}) for key in ("recall_at_fa_per_hour", "recall_at_fa_per_hour_interval")
    )
    return [
        name,
        share(words.get("accuracy"), words.get("interval")),
        share(words.get("closed_set_accuracy"), None),
        share(near_misses.get("false_accept_rate"), near_misses.get("interval")),
        *(share(recall.get(rate), intervals.get(rate)) for rate in RATES),
        f"{stream['hours']:.2f}" if stream else "-",
        share(metrics.get("same_source", {}).get("accuracy"), None),
        share(metrics.get("targets", {}).get("host", {}).get("accuracy_drop"), None),
    ]


def share(value: float | None, interval: list[float] | None) -> str:
    """Return a share with its interval, in per cent."""
    if value is None:
        return "-"
    return f"{value:.1%}" + (f" ({interval[0]:.0%} to {interval[1]:.0%})" if interval else "")


def metrics_of(name: str) -> dict[str, Any]:
    """Return all numbers of an experiment, commit or branch; one that is none ends the program."""
    try:
        metrics: dict[str, Any] = json.loads(DVCFileSystem(rev=name).read_text("reports/metrics.json"))
    except (RevError, FileNotFoundError):
        sys.exit(f"{name}: no experiment, commit or branch with reports/metrics.json; see `dvc exp show`")
    return metrics


def main(names: list[str]) -> None:
    """Print a Markdown table of the named experiments, commits or branches."""
    rows = [HEADER, ["---"] * len(HEADER), *(cells(name, metrics_of(name)) for name in names)]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


if __name__ == "__main__":
    main(sys.argv[1:])
