"""Charts as Vega-Lite specifications.

Colours are CSS variables of the page, so a chart suits a light screen, a dark one and paper as it is.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt

from kws.evaluation.events import Kind, Outcome

Spec = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

ACCENT, SECOND, INK, MUTED, LINE, CARD = (
    f"var(--{name})" for name in ("accent", "second", "ink", "muted", "line", "card")
)
COLOURS: dict[Kind, str] = {
    "hit": "var(--hit)",
    "miss": "var(--miss)",
    "false accept": "var(--false)",
    "near miss": "var(--near)",
}
SHAPES: dict[Kind, str] = {"hit": "circle", "false accept": "cross", "near miss": "diamond"}
SHOWN_S = 120.0
"""of a stream's scores; a longer one is cut to the part with most words"""
ROW, FILL = 44, 0.86
"""Height of a keyword's row in the timeline, and the share of it that a score of 1 takes."""

CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 12,
        "titlePadding": 8,
        "domainColor": LINE,
        "tickColor": LINE,
        "gridColor": LINE,
        "labelFlush": False,
    },
    "legend": {"labelColor": INK, "labelFontSize": 12, "orient": "top", "title": None},
    "text": {"fill": MUTED, "fontSize": 12},
}


def det(points: Rows, stream: Mapping[str, Any]) -> Spec:
    """Return missed words over false accepts an hour, one threshold for all; the chosen point with intervals.

    Rates below one false accept in all the hours are shaded: the streams are too short for them.
    """
    once = 1 / stream["hours"]
    low, high = (max(once / 2, rate) for rate in stream["fa_per_hour_interval"])
    fewest, most = (1 - share for share in reversed(stream["recall_interval"]))
    rate, missed = max(once / 2, stream["fa_per_hour"]), 1 - stream["recall"]
    left = min(once / 2, 0.1) / 1.3
    right = 1.1 * max(10, high, *(point["fa_per_hour"] for point in points))
    x = alt.X(
        "fa_per_hour:Q",
        title="false accepts an hour",
        scale=alt.Scale(type="log", domain=[left, right], nice=False),
        axis=alt.Axis(values=[0.1, 0.5, 1, 10, 100, 1000], format="~g", gridDash=[2, 3]),
    )
    y = alt.Y(
        "miss_rate:Q",
        title="words missed",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    tooltip = [
        alt.Tooltip("fa_per_hour:Q", title="false accepts an hour", format=".3~g"),
        alt.Tooltip("miss_rate:Q", title="words missed", format=".0%"),
    ]
    more = [
        alt.Tooltip("threshold:Q", format=".3f"),
        alt.Tooltip("near_miss_rate:Q", title="near misses accepted", format=".0%"),
    ]
    unknown = _chart([{"left": left, "right": min(once, right), "note": "too short to tell"}])
    shade = unknown.mark_rect(fill=LINE, opacity=0.45).encode(alt.X("left:Q"), x2="right:Q")
    note = unknown.mark_text(align="left", baseline="top", dx=6, dy=6)
    note = note.encode(alt.X("left:Q"), y=alt.value(0), text="note:N")
    curve = _chart(points).mark_line(color=ACCENT, strokeWidth=2.5, interpolate="step-after")
    touch = (
        _chart(points).mark_circle(color=ACCENT, size=160, opacity=0).encode(x, y, tooltip=[*tooltip, *more])
    )
    chosen = _chart([{"fa_per_hour": rate, "miss_rate": missed, "low": low, "high": high}])
    across = chosen.mark_rule(color=SECOND, strokeWidth=1.5).encode(alt.X("low:Q"), y, x2="high:Q")
    interval = _chart([{"fa_per_hour": rate, "fewest": fewest, "most": most}])
    down = interval.mark_rule(color=SECOND, strokeWidth=1.5).encode(x, alt.Y("fewest:Q"), y2="most:Q")
    point = chosen.mark_point(color=SECOND, fill=SECOND, size=90, opacity=1, shape="diamond")
    layers = [shade, note, curve.encode(x, y, order="fa_per_hour:Q"), across, down]
    return _spec(
        alt.layer(*layers, point.encode(x, y, tooltip=tooltip), touch), 300, "Words missed, false accepts"
    )


def histogram(bins: Rows) -> Spec:
    """Return the shares of words, near misses and other seconds by their highest score."""
    names = {"keyword": "words", "near_miss": "near misses", "other": "other seconds"}
    end = [{**bins[-1], "score": 1.0}]
    rows = [
        {"score": row["score"], "share": row[key], "what": name}
        for key, name in names.items()
        for row in [*bins, *end]
    ]
    share = alt.Y(
        "share:Q",
        title="share",
        stack=None,
        scale=alt.Scale(type="pow", exponent=0.5, domain=[0, 1]),
        axis=alt.Axis(values=[0, 0.01, 0.05, 0.2, 0.5, 1], format="~%"),
    )
    area = _chart(rows).mark_area(interpolate="step-after", fillOpacity=0.14, line={"strokeWidth": 2})
    score = alt.X("score:Q", title="highest score", axis=alt.Axis(format="~g", grid=False))
    colour = _colours("what", list(names.values()), [ACCENT, COLOURS["near miss"], MUTED])
    return _spec(
        area.encode(score, share, colour), 300, "Highest scores in words, near misses and other seconds"
    )


def curves(rows: Rows, kind: Literal["loss", "accuracy"]) -> Spec:
    """Return training and validation curves over epochs."""
    names = {f"train_{kind}": "training", f"val_{kind}": "validation"}
    points = [
        {"epoch": row["epoch"], "value": row[key], "clips": name}
        for row in rows
        for key, name in names.items()
    ]
    if kind == "loss":
        value = _decades("cross-entropy", [point["value"] for point in points])
    else:
        value = alt.Y("value:Q", title=kind, scale=alt.Scale(zero=False), axis=alt.Axis(format="~%"))
    epoch = alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    colour = _colours("clips", list(names.values()), [ACCENT, SECOND])
    tooltip = [alt.Tooltip("epoch:Q"), alt.Tooltip("clips:N"), alt.Tooltip("value:Q", format=".4~g")]
    lines = _chart(points).mark_line(point={"size": 30}, strokeWidth=2)
    return _spec(lines.encode(epoch, value, colour, tooltip=tooltip), 220, f"{kind.capitalize()} over epochs")


def shown(rows: Rows, outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Return from when to when a timeline is shown: all of it, or SHOWN_S with as many words as possible."""
    last = float(rows[-1]["time"])
    if last <= SHOWN_S:
        return 0.0, last
    starts = [0.0, *(min(max(0.0, o.start - 1), last - SHOWN_S) for o in outcomes)]
    start = max(starts, key=lambda s: sum(s <= o.start and o.end <= s + SHOWN_S for o in outcomes if o.said))
    return start, start + SHOWN_S


def timeline(rows: Rows, outcomes: Sequence[Outcome], thresholds: Mapping[str, float]) -> Spec:
    """Return a stream's scores, one row a keyword with its threshold; words as bands, events as points."""
    keywords = list(thresholds)
    last = len(keywords) - 1
    base = {keyword: last - index for index, keyword in enumerate(keywords)}
    start, end = shown(rows, outcomes)
    inside = [outcome for outcome in outcomes if start <= outcome.start and outcome.end <= end]
    scale = alt.Scale(domain=[start, end], nice=False)
    x = alt.X("time:Q", title="seconds", scale=scale, axis=alt.Axis(grid=False, tickCount=12))
    names = alt.Axis(
        values=[row + FILL / 2 for row in base.values()],
        labelExpr=f"{keywords}[{last} - floor(datum.value)]",
        labelColor=INK,
        labelPadding=8,
        grid=False,
        ticks=False,
        domain=False,
    )
    y = alt.Y("top:Q", title=None, scale=alt.Scale(domain=[0, len(keywords)], nice=False), axis=names)
    said = [
        {"time": o.start, "end": o.end, "base": base[o.said], "top": base[o.said] + 1}
        | {"said": o.said, "outcome": o.kind, "colour": COLOURS[o.kind]}
        for o in inside
        if o.said in base
    ]
    words = _chart(said).mark_rect(opacity=0.28)
    words = words.encode(x, y, x2="end:Q", y2="base:Q", fill=_own_colour(), tooltip=["said:N", "outcome:N"])
    scores = _chart([row for row in rows if start <= row["time"] <= end])
    scores = scores.transform_fold([*keywords], ["keyword", "score"])
    scores = scores.transform_calculate(base=f"{last} - indexof({keywords}, datum.keyword)")
    scores = scores.transform_calculate(top=f"datum.base + {FILL} * datum.score")
    scores = scores.mark_area(fill=ACCENT, opacity=0.85, interpolate="monotone")
    on = [{"top": base[k] + FILL * t, "keyword": k, "threshold": t} for k, t in thresholds.items() if t <= 1]
    lines = _chart(on).mark_rule(color=INK, strokeDash=[3, 3], strokeWidth=1, opacity=0.6)
    ground = _chart([{"top": row} for row in base.values()]).mark_rule(color=LINE)
    layers = [
        ground.encode(y),
        words,
        scores.encode(x, y, y2="base:Q", detail="keyword:N"),
        lines.encode(y, tooltip=["keyword:N", alt.Tooltip("threshold:Q", format=".2f")]),
        _events(inside, base, x, y),
        _playhead(x),
    ]
    return _spec(alt.layer(*layers), ROW * len(keywords), "Scores of each keyword over time")


def _events(outcomes: Sequence[Outcome], base: Mapping[str, int], x: alt.X, y: alt.Y) -> alt.Chart:
    """Return what fired, each in its keyword's row at the time and score it fired with."""
    rows = [
        {"time": o.end + (o.latency or 0), "top": base[o.heard] + FILL * min(1.0, o.score)}
        | {"event": o.kind, "heard": o.heard, "score": o.score}
        | {"colour": COLOURS[o.kind], "shape": SHAPES[o.kind]}
        for o in outcomes
        if o.kind in SHAPES
    ]
    tooltip = [
        "event:N",
        "heard:N",
        alt.Tooltip("score:Q", format=".2f"),
        alt.Tooltip("time:Q", format=".1f"),
    ]
    points = _chart(rows).mark_point(filled=True, size=75, opacity=1, stroke=CARD, strokeWidth=1)
    shape = alt.Shape("shape:N", scale=None)
    drawn: alt.Chart = points.encode(x, y, fill=_own_colour(), shape=shape, tooltip=tooltip)
    return drawn


def _playhead(x: alt.X) -> alt.Chart:
    """Return a line at the time that the page's player sets as `now`."""
    now = alt.param(name="now", value=-1)
    rule = _chart([{}]).transform_calculate(time="now").transform_filter("datum.time >= 0")
    drawn: alt.Chart = rule.mark_rule(color=SECOND, strokeWidth=1.5).encode(x).add_params(now)
    return drawn


def _decades(title: str, values: Sequence[float]) -> alt.Y:
    """Return a logarithmic axis over whole decades, one at least; what is smaller than 1e-9 lies below."""
    lowest, highest = (math.log10(max(1e-9, value)) for value in (min(values), max(values)))
    first, last = math.floor(lowest), max(math.ceil(highest), math.floor(lowest) + 1)
    scale = alt.Scale(type="log", domain=[10.0**first, 10.0**last], clamp=True)
    ticks = [10.0**decade for decade in range(first, last + 1)]
    return alt.Y("value:Q", title=title, scale=scale, axis=alt.Axis(values=ticks, format="~g"))


def _own_colour() -> alt.Fill:
    """Return the colour that a row brings along."""
    return alt.Fill("colour:N", scale=None)


def _colours(column: str, names: list[str], colours: list[str]) -> alt.Color:
    return alt.Color(f"{column}:N", scale=alt.Scale(domain=names, range=colours))


def _chart(rows: Rows) -> alt.Chart:
    return alt.Chart({"values": [dict(row) for row in rows]})


def _spec(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int, description: str) -> Spec:
    found: Spec = chart.properties(width="container", height=height, description=description).to_dict()
    found.pop("$schema")
    return found | {"config": CONFIG, "autosize": {"type": "fit-x", "contains": "padding"}}
