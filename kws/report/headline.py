"""The numbers of a run that fit on one screen, and those worth a column in a table of runs."""

from typing import Any


def headline(metrics: dict[str, Any]) -> list[str]:
    """Return one line a measure that the metrics hold, in words a reader needs no manual for."""
    rows = [
        (f"{metrics['same_source']['accuracy']:.1%}", "same source", "validation clips, siblings of training")
    ]
    if words := metrics.get("words"):
        by = voices(words["voices"], "unseen ")
        rows.append((f"{words['accuracy']:.1%}", "words", f"of {words['n']} recordings by {by}"))
    if misses := metrics.get("near_misses"):
        rate = f"{misses['false_accept_rate']:.1%}"
        like = "similar" if words else "other"  # to whom they are similar is not known without words
        rows.append((rate, "near misses", f"of {misses['n']} {like} words accepted"))
    stream = metrics.get("stream", {})
    if "recall" in stream:
        heard = f"of {stream['keywords']} words in streams, at the chosen thresholds"
        rows.append((f"{stream['recall']:.1%}", "recall", heard))
    else:
        rows.append(("unknown", "recall", "no words by unseen voices in any stream"))
    if stream:
        rows.append((f"{stream['fa_per_hour']:.1f}/h", "false accepts", _false_accepts(stream)))
    for name, target in metrics["targets"].items():
        value, what = _latency(target.get("latency_ms", {}))
        agreement = f"{what}; compiled and float agree on {target['top1_agreement']:.1%}"
        rows.append((value, name, f"{agreement} ({target['tool']})"))
    return [f"{name:14}{value:>9}  {explanation}" for value, name, explanation in rows]


def duration(hours: float) -> str:
    """Return a length of time, in hours, minutes or seconds."""
    minutes, seconds = round(60 * hours), round(3600 * hours)
    return f"{hours:.1f} h" if minutes >= 60 else f"{minutes} min" if seconds >= 60 else f"{seconds} s"


def rate(per_hour: float, hours: float) -> str:
    """Return events an hour; without any, the rate that so many hours rule out (the rule of three)."""
    if per_hour:
        return f"{rounded(per_hour)} an hour"
    return f"none in {duration(hours)}: below {rounded(3 / hours)} an hour"


def voices(n: int, which: str = "") -> str:
    """Return how many voices, `which` with a space behind it, in words."""
    return f"one {which}voice" if n == 1 else f"{n} {which}voices"


def rounded(value: float) -> str:
    """Return a number with two digits, or all those before the point."""
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def columns(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers by which runs are compared, those that the metrics hold; targets by name."""
    stream, recall_at = metrics.get("stream", {}), metrics.get("stream", {}).get("recall_at_fa_per_hour", {})
    found = {
        "words": metrics.get("words", {}).get("accuracy"),
        "near_misses": metrics.get("near_misses", {}).get("false_accept_rate"),
        "recall": stream.get("recall"),
        "fa_per_hour": stream.get("fa_per_hour"),
        "recall_at_1_per_hour": recall_at.get("1"),
        "recall_at_0.5_per_hour": recall_at.get("0.5"),
        "hours": stream.get("hours"),
        "same_source": metrics["same_source"]["accuracy"],
        "params": metrics["onnx"]["params"],
        "macs": metrics["onnx"]["macs"],
    }
    targets = {}
    for name, target in metrics["targets"].items():
        scores = {"agreement": target["top1_agreement"], "accuracy_drop": target["accuracy_drop"]}
        p50 = target.get("latency_ms", {}).get("p50")  # a simulation has none
        targets[name] = scores if p50 is None else {"p50_ms": p50, **scores}
    return {name: value for name, value in found.items() if value is not None} | targets


def _false_accepts(stream: dict[str, Any]) -> str:
    if stream["fa_per_hour"] == 0:
        return rate(0, stream["hours"])
    low, high = map(rounded, stream["fa_per_hour_interval"])
    return f"95 % interval {low} to {high}, in {duration(stream['hours'])}"


def _latency(times: dict[str, float]) -> tuple[str, str]:
    for key, word in (("p50", "median"), ("mean", "mean")):
        if key in times:
            return f"{times[key]:.2f} ms", f"{word} of one inference"
    return "-", "simulated, so no time is known"
