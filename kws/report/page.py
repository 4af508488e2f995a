"""The page itself: what a run found, as one HTML file that asks nobody for anything."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kws.evaluation.events import Outcome
from kws.report import charts, dag, numbers
from kws.report.advice import Advice
from kws.report.headline import duration, rate
from kws.report.recorded import Recorded
from kws.report.sounds import Excerpt, Shard, Sound, Wrong

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Results:
    """All that the page shows; what a run did not make is empty, and its section is left out."""

    metrics: dict[str, Any]
    """as in reports/metrics.json"""
    labels: list[str]
    thresholds: dict[str, float]
    """of each keyword"""
    target_fa_per_hour: float
    dvc_yaml: str
    params_yaml: str
    network: str
    model_sha256: str
    versions: dict[str, str]
    advice: list[Advice] = field(default_factory=list)
    """the gravest first"""
    det: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    training: list[dict[str, Any]] = field(default_factory=list)
    timeline: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    """of the stream that `timeline` shows"""
    excerpt: Excerpt | None = None
    """the sound of that stream"""
    wrong: list[Wrong] = field(default_factory=list)
    loudest: list[Sound] = field(default_factory=list)
    """false accepts where thresholds were chosen"""
    shards: list[Shard] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)


def render(results: Results, vega: str) -> str:
    """Return the page; `vega` is the script that draws its charts."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": numbers.percent, "duration": duration, "css": _css}
    environment.globals |= {"rate": rate}
    metrics = results.metrics
    stream = metrics.get("stream", {})
    return environment.get_template("page.html.j2").render(
        run=results,
        metrics=metrics,
        stream=stream,
        words=metrics.get("words"),
        keywords=list(results.thresholds),
        tiles=numbers.tiles(metrics),
        stream_rows=numbers.stream_rows(stream) if stream else [],
        word_rows=numbers.word_rows(metrics),
        same_source=numbers.same_source_row(metrics),
        keyword_rows=numbers.keyword_rows(metrics, results.thresholds),
        points=numbers.point_rows(stream, results.target_fa_per_hour),
        voices=numbers.voice_rows(stream),
        conditions=numbers.condition_rows(stream),
        confusion=numbers.confusion_rows(metrics),
        targets=numbers.target_rows(metrics["targets"]),
        all_int8=numbers.all_int8_rows(metrics),
        pipeline=dag.draw(dag.read_stages(results.dvc_yaml)),
        specs=specs(results),
        style=_asset("page.css"),
        script=_asset("page.js"),
        vega=Markup(vega),  # noqa: S704 - a library
    )


def specs(results: Results) -> dict[str, charts.Spec]:
    """Return the charts that the results suffice for, by name."""
    found = {}
    stream = results.metrics.get("stream", {})
    if results.det and "recall" in stream:
        found["det"] = charts.det(results.det, stream)
    if results.scores:
        found["scores"] = charts.histogram(results.scores)
    if results.training:
        found["loss"] = charts.curves(results.training, "loss")
        found["accuracy"] = charts.curves(results.training, "accuracy")
    if results.timeline:
        found["timeline"] = charts.timeline(results.timeline, results.outcomes, results.thresholds)
    return found


def _css(share: float) -> str:
    """Return a share as CSS has it."""
    return f"{100 * share:.1f}%"


def _asset(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file
