"""What a run's numbers cannot say, or say badly, and what to do about it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kws.report.headline import duration, rounded

FAR = 0.1
"""Share of one false accept that may be asked of all hours together; below it thresholds are guesses."""
CHANCE = 0.05
"""How often one of several words or voices that are alike may be called the worst."""
OFTEN = 2
"""Confusions of a pair of words from which on it is named."""
SPARED = 0.08
"""Share of the words that thresholds for more false accepts must hear beside, with none measured still."""
WORTH = 0.03
"""Share of the words that a change must promise to be advised."""


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
        *_spared(stream, target_fa_per_hour),
        *_least(stream),
        *_confused(metrics),
        *_most_won(stream),
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
            f"Nothing was heard of {' and '.join(silent)} in streams. Listen to what was missed and to the"
            " clips of training; recordings by more people would help (data.voices)."
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


def _spared(stream: dict[str, Any], target_fa_per_hour: float) -> list[Advice]:
    """Lower thresholds at which no false accept was measured either, and more words are heard."""
    free = [
        (point["recall"], -float(rate))
        for rate, point in stream.get("points", {}).items()
        if float(rate) > target_fa_per_hour and not point["fa_per_hour"] and "recall" in point
    ]
    if not free or stream["fa_per_hour"] or max(free)[0] - stream["recall"] < SPARED:
        return []
    recall, rate = max(free)[0], -max(free)[1]
    text = (
        f"At the thresholds for {rate:g} false accepts an hour {recall:.0%} of the words are heard, not"
        f" {stream['recall']:.0%}, and no false accept was measured in {duration(stream['hours'])} either."
        f" Try them: kws listen --fa-per-hour {rate:g}; to keep them:"
        f" -S detector.target_fa_per_hour={rate:g}."
    )
    return [Advice(text)]


def _least(stream: dict[str, Any]) -> list[Advice]:
    """The word and the voice of which so little is heard that it is hardly chance."""
    found = []
    if worst := _worst(_words(stream)):
        name, heard, others = worst
        text = f"The word heard least in streams is {name}, {heard}, the others {others}."
        found.append(Advice(f"{text} Listen to its recordings and to where it was missed."))
    if worst := _worst(stream.get("per_voice", {})):
        name, heard, others = worst
        text = f"The voice heard least in streams is {name}, {heard} words, the others {others}."
        found.append(Advice(f"{text} Recordings by people who sound like that would help (data.voices)."))
    return found


def _words(stream: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return the counts of keywords of which something is heard; of the others other advice tells."""
    return {name: part for name, part in stream.get("per_keyword", {}).items() if part["n"] and part["hits"]}


def _worst(parts: dict[str, dict[str, int]]) -> tuple[str, str, str] | None:
    """Return the name of the part with the least recall, its hits, and the recall of the others.

    None where it could be as good as the others, by Fisher's exact test; the more parts, the surer
    it must be (Bonferroni).
    """
    if len(parts) < 2:
        return None
    name = min(parts, key=lambda name: parts[name]["hits"] / parts[name]["n"])
    rest = [part for other, part in parts.items() if other != name]
    from scipy.stats import fisher_exact  # takes a second to load

    both = ([parts[name]], rest)
    table = [[sum(p["hits"] for p in some), sum(p["n"] - p["hits"] for p in some)] for some in both]
    chance = fisher_exact(table, alternative="less").pvalue * len(parts)
    heard = f"{parts[name]['hits']} of {parts[name]['n']}"
    return (name, heard, f"{_recall(rest):.0%}") if chance < CHANCE else None


def _recall(parts: Sequence[dict[str, int]]) -> float:
    return sum(part["hits"] for part in parts) / sum(part["n"] for part in parts)


def _confused(metrics: dict[str, Any]) -> list[Advice]:
    """The two words that are taken for each other most often, in streams or else as single recordings."""
    stream, where = Counter[tuple[str, str]](), "in streams"
    for row in metrics.get("stream", {}).get("confused", []):
        stream[min(row["said"], row["heard"]), max(row["said"], row["heard"])] += row["n"]
    if not stream:
        where = "as single recordings"
        keywords = (confusion := metrics.get("words", {}).get("confusion", {})).keys()
        for said, heard in confusion.items():
            for label, n in heard.items():
                if label != said and label in keywords:
                    stream[min(said, label), max(said, label)] += n
    ((one, other), n), *_ = stream.most_common(1) or [(("", ""), 0)]
    if n < OFTEN:
        return []
    text = f"{one} and {other} are confused most: {n} times one was heard {where} where the other was said."
    return [Advice(f"{text} Another word for one of them would end it.")]


def _most_won(stream: dict[str, Any]) -> list[Advice]:
    """What would win most words: another recording, more background, or another voice.

    That is, whether half of what is missed is one word, or is missed in noise alone. Words that are missed
    without noise as well are said too unlike the recordings. A reading of numbers, not a measurement.
    """
    words = _words(stream)
    if not words or len(words) < len(stream["per_keyword"]) or 1 - stream["recall"] < WORTH:
        return []  # other advice comes first, or there is little to win
    missed = {name: part["n"] - part["hits"] for name, part in words.items()}
    worst, everything = _worst(words), sum(missed.values())
    clean = stream["by_condition"].get("clean", {}).get("recall")
    if worst and missed[worst[0]] >= everything / 2:
        what = f"Another recording of {worst[0]}"
        told = f"of {everything} missed words it is {missed[worst[0]]}"
    elif clean is None:
        return []
    else:
        noise = 1 - clean <= (1 - stream["recall"]) / 2
        what = "More background of the place of use (data.seeds)" if noise else "Another voice (data.voices)"
        told = f"{stream['recall']:.0%} of the words are heard, without noise {clean:.0%}"
    return [Advice(f"{what} would probably win most: {told}.")]


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
            " (data.streams)."
        )
        found.append(Advice(text, grave=target_fa_per_hour * hours < FAR))
    return found


def _no_stream() -> Advice:
    return Advice(
        "No stream was measured: every threshold is the same by default, and false accepts an hour are not"
        " known. Put talk by others into my/eval/talk/<voice>_1.wav and run with -S data.eval=my/eval."
    )
