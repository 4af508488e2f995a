"""What the metrics say, as rows of the page's tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kws.report.headline import duration, rounded, voices

NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
RARE = 0.01
"""False accepts an hour that are as good as none."""
MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Row:
    """One measure: its name, its value, how far that may be off, and what it means."""

    name: str
    value: str
    interval: str
    meaning: str
    span: tuple[float, float, float] | None = None
    """low, value and high of a share, to be drawn on a line from 0 to 1"""


@dataclass(frozen=True)
class Keyword:
    """What was heard of one keyword; None where nothing was measured."""

    name: str
    word_recall: float | None
    said: int | None
    hits: int | None
    false_accepts: int | None
    threshold: str

    @property
    def recall(self) -> float | None:
        """Share of what was said in streams that was heard."""
        return self.hits / self.said if self.said and self.hits is not None else None


@dataclass(frozen=True)
class Condition:
    """What was heard in streams of one kind; no recall where no keyword is said."""

    name: str
    hours: str
    recall: float | None
    false_accepts: str
    """an hour"""


@dataclass(frozen=True)
class Point:
    """What the thresholds for one rate give; shares are None where nothing was said."""

    rate: str
    """of false accepts an hour that is asked for"""
    recall: float | None
    recall_interval: str
    false_accepts: str
    """an hour"""
    false_accepts_interval: str
    near_misses: float | None
    chosen: bool
    """whether it is what is used by default"""
    vouched: bool
    """whether one false accept of that rate fits into the hours that thresholds were chosen on"""


@dataclass(frozen=True)
class Target:
    """What the compiled model of one target answers, and how fast; cells are text."""

    name: str
    tool: str
    agreement: str
    cosine: str
    accuracy: str
    reference: str
    drop: str
    latency: dict[str, str]
    """of single inferences, by statistic"""


@dataclass(frozen=True)
class Said:
    """One row of a confusion matrix: how often each label was heard for one that was said."""

    label: str
    n: int
    heard: dict[str, int]


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage; a small one, or one close to all, keeps a decimal."""
    if 0 < share < 0.1 or 0.99 < share < 1:
        digits = max(1, digits)
    return f"{100 * share:.{digits}f}{NBSP}%"


def signed(number: str) -> str:
    """Return a number with a minus sign where it has a hyphen."""
    return number.replace("-", MINUS)


def tiles(metrics: dict[str, Any]) -> list[Row]:
    """Return the few measures to see first, without names: those of streams where there are any."""
    stream = metrics.get("stream", {})
    found = []
    if "recall" in stream:
        found.append(_share("", stream["recall"], stream["recall_interval"], "of words heard in streams"))
    if stream:
        per_hour, (low, high) = stream["fa_per_hour"], stream["fa_per_hour_interval"]
        value = rounded(per_hour) if per_hour else "none"
        off = f"{rounded(low)} to {rounded(high)}" if per_hour else f"below {rounded(high)} an hour"
        found.append(Row("", value, off, "false accepts an hour" if per_hour else "false accepts"))
    if "recall_at_fa_per_hour" in stream:
        recall = stream["recall_at_fa_per_hour"]["1"]
        interval = stream["recall_at_fa_per_hour_interval"].get("1")
        often = "at one false accept an hour" if stream["hours"] >= 1 else "with no false accept at all"
        found.append(_share("", recall, interval, f"of words heard {often}"))
    if near := stream.get("near_misses", metrics.get("near_misses")):
        found.append(
            _share("", near["false_accept_rate"], near["interval"], f"of {_like(metrics)} words accepted")
        )
    if words := metrics.get("words"):
        found.append(_share("", words["accuracy"], words["interval"], "of single words recognised"))
    if latency := stream.get("latency_ms"):
        found.append(Row("", _delay(latency["p50"]), "", "from the end of a word to its event, median"))
    return found


def stream_rows(stream: dict[str, Any]) -> list[Row]:
    """Return the measures of the detector in streams."""
    rows, hours = [], stream["hours"]
    if "recall" in stream:
        meaning = (
            f"of {stream['keywords']} keywords said by {voices(stream['voices'])}, at the chosen thresholds"
        )
        rows.append(_share("Words heard", stream["recall"], stream["recall_interval"], meaning))
    rows += _recall_at(stream)
    low, high = map(rounded, stream["fa_per_hour_interval"])
    some = stream["fa_per_hour"] > 0
    value = f"{rounded(stream['fa_per_hour'])} an hour" if some else f"none in {duration(hours)}"
    interval = f"{low} to {high}" if some else f"below {high} an hour"
    chosen = "no threshold was" if stream["tuning_hours"] else "the thresholds were"
    meaning = f"at the chosen thresholds, in {duration(hours)} that {chosen} chosen on"
    rows.append(Row("False accepts", value, interval, meaning))
    if expected := stream.get("expected_fa_per_hour_interval"):
        low, high = expected
        value = f"{rounded(low)} to {rounded(high)}" if low >= RARE else f"up to {rounded(high)}"
        meaning = "an hour of other streams, as far as those tell that the thresholds were chosen on"
        rows.append(Row("… to be expected", value, "", meaning))
    if near := stream.get("near_misses"):
        meaning = f"of {near['n']} near misses said in the streams; not counted as false accepts"
        rows.append(_share("Similar words accepted", near["false_accept_rate"], near["interval"], meaning))
    if latency := stream.get("latency_ms"):
        latest = f"95{NBSP}% by {_delay(latency['p95'])}"
        meaning = "from the end of a word to its event, median"
        rows.append(Row("Delay", _delay(latency["p50"]), latest, meaning))
    return rows


def word_rows(metrics: dict[str, Any]) -> list[Row]:
    """Return the measures on single recordings."""
    rows = []
    if words := metrics.get("words"):
        meaning = (
            f"of {words['n']} recordings by {voices(words['voices'])}: the likeliest label is the right one"
        )
        rows.append(_share("Words recognised", words["accuracy"], words["interval"], meaning))
    if near := metrics.get("near_misses"):
        meaning = f"of {near['n']} recordings of words that are none: the likeliest label is a keyword"
        name = f"{_like(metrics).capitalize()} words accepted"
        rows.append(_share(name, near["false_accept_rate"], near["interval"], meaning))
        for recall, share in near.get("at_recall", {}).items():
            meaning = f"at the threshold at which {percent(float(recall))} of the words are heard"
            rows.append(_share("Similar words accepted", share, None, meaning))
    return rows


def _like(metrics: dict[str, Any]) -> str:
    """Return what near misses are: without words by the same voices nobody knows to what they are similar."""
    return "similar" if "words" in metrics else "other"


def same_source_row(metrics: dict[str, Any]) -> Row:
    """Return the measure on clips that training has heard siblings of."""
    meaning = "of validation clips are recognised; they are made from the same recordings as training clips"
    return Row("Same source", percent(metrics["same_source"]["accuracy"], 1), "", meaning)


def keyword_rows(metrics: dict[str, Any], thresholds: dict[str, float]) -> list[Keyword]:
    """Return what was heard of each keyword that has a threshold."""
    words = metrics.get("words", {}).get("recall", {})
    streams = metrics.get("stream", {}).get("per_keyword", {})
    rows = []
    for name, threshold in thresholds.items():
        found = streams.get(name, {})
        rows.append(
            Keyword(
                name=name,
                word_recall=words.get(name),
                said=found.get("n"),
                hits=found.get("hits"),
                false_accepts=found.get("false_accepts"),
                threshold=f"{threshold:.4f}" if threshold <= 1 else "never fires",
            )
        )
    return rows


def point_rows(stream: dict[str, Any], target_fa_per_hour: float) -> list[Point]:
    """Return what each operating point gives in the streams that no threshold was chosen on."""
    rows = []
    for rate, found in stream.get("points", {}).items():
        low, high = found["fa_per_hour_interval"]
        interval = f"{rounded(low)} to {rounded(high)}" if found["fa_per_hour"] else ""
        recall = found.get("recall")
        heard = "" if recall is None else _share("", recall, found["recall_interval"], "").interval
        rows.append(
            Point(
                rate=rate,
                recall=recall,
                recall_interval=heard,
                false_accepts=_short_rate(found["fa_per_hour"], stream["hours"]),
                false_accepts_interval=interval,
                near_misses=found.get("near_miss_rate"),
                chosen=rate == f"{target_fa_per_hour:g}",
                vouched=float(rate) * (stream["tuning_hours"] or stream["hours"]) >= 1,
            )
        )
    return rows


def voice_rows(stream: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Return each voice with how many of its words were heard and how many it said, the worst first."""
    found = [(name, part["hits"], part["n"]) for name, part in stream.get("per_voice", {}).items()]
    return sorted(found, key=lambda row: row[1] / row[2])


def condition_rows(stream: dict[str, Any]) -> list[Condition]:
    """Return what was heard under each condition, from quiet to noisy."""
    found = stream.get("by_condition", {})
    return [
        Condition(
            condition_name(name),
            duration(part["hours"]),
            part.get("recall"),
            _short_rate(part["fa_per_hour"], part["hours"]),
        )
        for name, part in sorted(found.items(), key=lambda item: _noisiness(item[0]))
    ]


def condition_name(name: str) -> str:
    """Return what a condition is called in a sentence."""
    if (snr := _snr(name)) is not None:
        return f"background at {snr:g}{NBSP}dB"
    known = {"clean": "no background", "background": "background alone", "recordings": "own recordings"}
    return known.get(name, name)


def target_rows(targets: dict[str, Any]) -> list[Target]:
    """Return what was measured of each target."""

    def share(value: float) -> str:
        return percent(value, 1)

    rows = []
    for name, found in targets.items():
        correct, drop = found.get("accuracy"), found.get("accuracy_drop")
        known = correct is not None and drop is not None
        rows.append(
            Target(
                name=name,
                tool=found.get("tool", MISSING),
                agreement=_cell(found.get("top1_agreement"), share),
                cosine=_cell(found.get("cosine"), lambda value: f"{value:.5f}"),
                accuracy=_cell(correct, share),
                reference=_cell(correct + drop if known else None, share),
                drop=_cell(drop, lambda value: signed(f"{100 * value:.1f}{NBSP}points")),
                latency={key: f"{value:.2f}" for key, value in found.get("latency_ms", {}).items()},
            )
        )
    return rows


def all_int8_rows(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what every operator in 8 bits makes of the numbers: name, value, and the float model's."""
    found = metrics["targets"].get("host", {}).get("all_int8", {})
    stream = metrics.get("stream", {})
    names = {
        "words": ("words", metrics.get("words", {}).get("accuracy")),
        "near_misses": ("near misses", metrics.get("near_misses", {}).get("false_accept_rate")),
        "recall": ("recall in streams", stream.get("recall")),
    }
    rows = [
        (name, percent(found[key], 1), _cell(f, lambda v: percent(v, 1)))
        for key, (name, f) in names.items()
        if key in found
    ]
    if "fa_per_hour" in found:
        rates = [_short_rate(one["fa_per_hour"], stream["hours"]) for one in (found, stream)]
        rows.append(("false accepts", rates[0], rates[1]))
    if "agreement" in found:
        rows.append(("the same answer on", percent(found["agreement"], 1), percent(1.0, 0)))
    return rows


def confusion_rows(metrics: dict[str, Any]) -> list[Said]:
    """Return the confusion matrix by row."""
    confusion = metrics.get("words", {}).get("confusion", {})
    return [Said(label, sum(heard.values()), heard) for label, heard in confusion.items()]


def _recall_at(stream: dict[str, Any]) -> list[Row]:
    """Return recall at rates of false accepts; those too low for so many hours are one row, with none."""
    recalls, intervals = (stream.get(f"recall_at_fa_per_hour{suffix}", {}) for suffix in ("", "_interval"))
    few = [most for most in recalls if float(most) * stream["hours"] < 1]
    rows = []
    for most in recalls:
        if most not in few:
            meaning = "one threshold for all keywords, the best one in hindsight on these streams"
            rows.append(
                _share(f"… at {most} false accepts an hour", recalls[most], intervals.get(most), meaning)
            )
    if few:
        length = duration(stream["hours"])
        meaning = f"the same with no false accept at all: {length} are too short to tell such rates apart"
        rates = " or ".join([", ".join(few[:-1]), few[-1]] if few[1:] else few)
        name = f"… at {rates} an hour"
        rows.append(_share(name, recalls[few[0]], intervals.get(few[0]), meaning))
    return rows


def _share(name: str, share: float, interval: list[float] | None, meaning: str) -> Row:
    if interval is None:
        return Row(name, percent(share), "", meaning)
    low, high = interval
    text = f"{percent(low).removesuffix(f'{NBSP}%')} to {percent(high)}"
    return Row(name, percent(share), text, meaning, (low, share, high))


def _cell(value: float | None, text: Callable[[float], str]) -> str:
    return MISSING if value is None else text(value)


def _short_rate(per_hour: float, hours: float) -> str:
    return rounded(per_hour) if per_hour else f"none (below {rounded(3 / hours)})"


def _delay(milliseconds: float) -> str:
    return signed(f"{milliseconds:.0f}") + f"{NBSP}ms"


def _snr(condition: str) -> float | None:
    try:
        return float(condition.removesuffix("dB")) if condition.endswith("dB") else None
    except ValueError:
        return None


def _noisiness(condition: str) -> tuple[int, float]:
    """Order conditions: nothing added, the higher signal-to-noise ratios first, all others as they come."""
    if condition == "clean":
        return 0, 0
    snr = _snr(condition)
    return (2, 0) if snr is None else (1, -snr)
