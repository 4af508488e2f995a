"""Gather all results: reports/metrics.json, the numbers to compare runs by, and the page about this one."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kws.common.files import read_table, replacing, sha256, write_json
from kws.detector import read_spec
from kws.params.whole import Params, load_params
from kws.report.advice import Advice, advise, around
from kws.report.charts import shown
from kws.report.headline import columns, headline
from kws.report.page import Results, render
from kws.report.recorded import recorded
from kws.report.sounds import excerpt, listen, outcome_sound, read_outcomes, shard_sounds
from stages import paths, run

EACH, MOST, CLIPS, RECORDINGS = 8, 200, 6, 8
"""What to hear on the page: errors in streams, of a kind and keyword and in all; of each label, clips and
recordings."""
PACKAGES = ("dvc", "torch", "onnx", "onnxruntime", "numpy")


def main() -> None:
    """Write every number of this run in one file that git tracks, show the first ones, and write the page."""
    params = load_params(paths.PARAMS)
    targets = {name: _read(paths.benchmark(name)) for name in params.target.model_dump(exclude_none=True)}
    targets.get("host", {})["all_int8"] = _read(paths.ALL_INT8)
    metrics = _read(paths.EVALUATION) | {"onnx": _read(paths.ONNX_REPORT), "targets": targets}
    write_json(paths.METRICS, metrics)
    write_json(paths.HEADLINE, columns(metrics))
    advice = advise(metrics, params.keywords, params.detector.target_fa_per_hour)
    page = render(_results(params, metrics, advice), paths.VEGA.read_text(encoding="utf-8"))
    with replacing(paths.PAGE) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    print("\n".join([*around(headline(metrics), advice), f"to look at and listen to: {paths.PAGE}"]))


def _results(params: Params, metrics: dict[str, Any], advice: list[Advice]) -> Results:
    front_end, on = params.features, read_spec(paths.DETECTOR).on
    timeline, everything = read_table(paths.TIMELINE, ("stream",)), read_outcomes(paths.EVENTS)
    outcomes = [outcome for outcome in everything if timeline and outcome.stream == timeline[0]["stream"]]
    part = shown(timeline, outcomes) if timeline else None

    def find(stream: str) -> Path:
        folders = (paths.STREAMS, Path(params.data.streams))
        return next(folder / stream for folder in folders if (folder / stream).is_file())

    return Results(
        metrics=metrics,
        labels=params.labels,
        thresholds=on,
        target_fa_per_hour=params.detector.target_fa_per_hour,
        dvc_yaml=paths.PIPELINE.read_text(encoding="utf-8"),
        params_yaml=paths.PARAMS.read_text(encoding="utf-8"),
        network=params.model.name,
        model_sha256=sha256(paths.ONNX),
        versions={"Python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        advice=advice,
        det=read_table(paths.DET),
        scores=read_table(paths.SCORES),
        training=read_table(paths.TRAINING),
        timeline=timeline,
        outcomes=outcomes,
        excerpt=excerpt(find(timeline[0]["stream"]), *part, front_end.sample_rate) if part else None,
        wrong=listen(everything, find, on, front_end, EACH, MOST),
        loudest=[outcome_sound(o, [], find(o.stream), on, front_end) for o in read_outcomes(paths.LOUDEST)],
        recorded=recorded(params.keywords, params.data, front_end, RECORDINGS),
        shards=[shard_sounds(paths.clips(name), CLIPS, front_end) for name in [*params.labels, paths.HARD]],
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(main)
