"""What a run's numbers cannot say, or say badly, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kws.report.headline import duration, rounded

FAR = 0.1
"""Share of one false accept that may be asked of all hours together; below it thresholds are guesses."""


@dataclass(frozen=True)
class Advice:
    """One thing to know, with what to do."""

    text: str
    grave: bool = False
    """whether the model is of little use before it is done"""


def advise(metrics: dict[str, Any], keywords: Sequence[str], target_fa_per_hour: float) -> list[Advice]:
    """Return what to do next, the gravest first; `metrics` are those of reports/metrics.json."""
    stream = metrics.get("stream", {})
    found = [
        *_apart(stream),
        *_unheard(stream),
        *_unmeasured(metrics.get("words", {}).get("recall", {}), keywords),
        *(_hours(stream, target_fa_per_hour) if stream else [_no_stream()]),
    ]
    return sorted(found, key=lambda one: not one.grave)


def around(lines: list[str], advice: list[Advice]) -> list[str]:
    """Return lines with what is grave before them, and the rest behind."""
    warned = [f"warning: {one.text}" for one in advice if one.grave]
    return [*warned, *lines, *(f"note: {one.text}" for one in advice if not one.grave)]


def _apart(stream: dict[str, Any]) -> list[Advice]:
    """Keywords that would have taken all others with them."""
    found = []
    for name, per_hour in stream.get("apart", {}).items():
        heard = stream["per_keyword"][name]
        if heard["n"] and heard["hits"] >= heard["n"] / 2:  # its own threshold serves it
            continue
        own = "never fires" if stream["threshold"][name] > 1 else "has a threshold of its own"
        text = (
            f"{name} cannot be told from the background: where the other keywords keep silent it fires"
            f" {rounded(per_hour)} times an hour, so it {own}. Listen to its recordings and to what was made"
            f" of them (kws wavs {name} --n 20 --out wavs), and record it again."
        )
        found.append(Advice(text, grave=True))
    return found


def _unheard(stream: dict[str, Any]) -> list[Advice]:
    """Keywords of which nothing is heard; those that stand apart are told of already."""
    said = {name: part for name, part in stream.get("per_keyword", {}).items() if part["n"]}
    silent = [name for name, part in said.items() if not part["hits"] and name not in stream["apart"]]
    if not silent:
        return []
    most = max(float(rate) for rate in stream["recall_at_fa_per_hour"])
    best = stream["recall_at_fa_per_hour"][f"{most:g}"]
    if len(silent) < len(said):
        text = (
            f"Nothing was heard of {' '.join(silent)} in streams. Listen to what was missed and to the clips"
            " of training; recordings by more people would help (data.voices)."
        )
        return [Advice(text, grave=True)]
    if best >= 0.1:
        text = (
            f"No word is heard at the chosen thresholds, though {best:.0%} would be at {most:g} false accepts"
            " an hour. Listen to what keeps the thresholds up, or allow more:"
            f" -S detector.target_fa_per_hour={most:g}."
        )
    else:
        text = (
            "No word is heard at any threshold of use: the voices here are too far from the recordings."
            " Listen to both, and let more people record the words (data.voices)."
        )
    return [Advice(text, grave=True)]


def _unmeasured(measured: dict[str, float], keywords: Sequence[str]) -> list[Advice]:
    """Keywords without recordings by other people."""
    absent = [name for name in keywords if name not in measured]
    if not absent:
        return []
    all_ = len(absent) == len(keywords)
    what = "the words are" if all_ else f"{' '.join(absent)} {'is' if len(absent) == 1 else 'are'}"
    where = f"my/eval/words/{'<LABEL>' if all_ else absent[0]}/<voice>.wav"
    text = (
        f"How often {what} heard is not known: there are no recordings by other people. Put some into {where}"
        " and run with -S data.eval=my/eval."
    )
    return [Advice(text)]


def _hours(stream: dict[str, Any], target_fa_per_hour: float) -> list[Advice]:
    """Streams that are too few for what is asked of them."""
    found = []
    hours = stream["tuning_hours"] or stream["hours"]
    if not stream["tuning_hours"]:
        text = (
            "Thresholds were chosen on the very streams that they are measured on, so these numbers flatter:"
            " there is one voice alone. Add a second one."
        )
        found.append(Advice(text))
    if target_fa_per_hour * hours < 1:
        text = (
            f"{duration(hours)} of streams to choose thresholds on can vouch for {rounded(1 / hours)} false"
            f" accepts an hour, not for the {target_fa_per_hour:g} asked for. Add hours without keywords"
            " (data.streams), or to a data.eval of your own the talk and backgrounds of data/eval."
        )
        found.append(Advice(text, grave=target_fa_per_hour * hours < FAR))
    return found


def _no_stream() -> Advice:
    return Advice(
        "No stream was measured: every threshold is the same by default, and false accepts an hour are not"
        " known. Put talk by others into my/eval/talk/<voice>_1.wav and run with -S data.eval=my/eval."
    )
