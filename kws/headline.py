"""The numbers of a run that fit on one screen."""

from typing import Any


def headline(metrics: dict[str, Any]) -> list[str]:
    """Return one line a measure that the metrics hold, in words a reader needs no manual for."""
    rows = [
        (f"{metrics['same_source']['accuracy']:.1%}", "same source", "validation clips, siblings of training")
    ]
    if words := metrics.get("words"):
        rows.append((f"{words['accuracy']:.1%}", "words", f"of {words['n']} recordings by unseen voices"))
    if misses := metrics.get("near_misses"):
        rate = f"{misses['false_accept_rate']:.1%}"
        rows.append((rate, "near misses", f"of {misses['n']} similar words accepted"))
    for name, target in metrics["targets"].items():
        agreement = f"median of one inference; INT8 and float agree on {target['top1_agreement']:.1%}"
        rows.append((f"{target['latency_ms']['p50']:.2f} ms", name, f"{agreement} ({target['tool']})"))
    return [f"{name:12}{value:>9}  {explanation}" for value, name, explanation in rows]
