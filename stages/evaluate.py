"""Score the exported model: reports/evaluation.json, models/detector.json and tables for plots."""

import warnings
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from kws.augment.splits import VAL
from kws.common.files import write_json, write_table
from kws.detector import Averages, DetectorSpec, write_spec
from kws.evaluation.events import Outcome
from kws.evaluation.recordings import load_eval_words, load_near_misses
from kws.evaluation.scoring import score_streams
from kws.evaluation.spotting import Spotting, evaluate_streams
from kws.evaluation.streams import read_streams
from kws.evaluation.summary import summarise_near_misses, summarise_words
from kws.evaluation.sweep import Heard
from kws.params.whole import Params, load_params
from kws.runtime.inference import Classifier, accuracy
from stages import paths, run
from stages.data import dataset

FALLBACK = 0.5
"""Threshold of every keyword where no stream tells a better one."""


def main() -> None:
    """Measure validation clips, words and near misses of unseen voices, and streams."""
    params = load_params(paths.PARAMS)
    model, val = Classifier(paths.ONNX), dataset(params, VAL)
    hits = sum(accuracy(model.logits(x), y) * len(y) for x, y in val.batches(256))
    scores = {"same_source": {"accuracy": hits / len(val)}} | _clips(params, model)
    found = _streams(params)
    if found.summary:
        scores["stream"] = found.summary
    write_json(paths.EVALUATION, scores)
    on = dict(zip(params.keywords, map(float, found.thresholds), strict=True))
    rules, window_s = params.detector.rules, params.features.clip_s
    write_spec(paths.DETECTOR, DetectorSpec(params.labels, params.background, window_s, rules, on))
    for path, outcomes in ((paths.EVENTS, found.outcomes), (paths.LOUDEST, found.loudest)):
        write_table(path, [field.name for field in fields(Outcome)], map(asdict, outcomes))
    tables = ((paths.DET, found.det), (paths.SCORES, found.histogram), (paths.TIMELINE, found.timeline))
    for path, rows in tables:
        write_table(path, list(rows[0]) if rows else [], rows)


def _clips(params: Params, model: Classifier) -> dict[str, Any]:
    where = (Path(params.data.eval), params.labels, params.background, params.features)
    words, near_misses = load_eval_words(*where), load_near_misses(*where)
    word_logits, miss_logits = model.logits(words.features), model.logits(near_misses.features)
    pairs = zip(words.labels, word_logits.argmax(1), strict=True)
    named = [{"actual": params.labels[a], "predicted": params.labels[p]} for a, p in pairs]
    write_table(paths.CONFUSION, ["actual", "predicted"], named)
    scores = {"words": summarise_words(word_logits, words, params.labels)} if len(words) else {}
    if len(near_misses):
        found = summarise_near_misses(miss_logits, near_misses, word_logits, words, params.columns)
        scores["near_misses"] = found
    return scores


def _streams(params: Params) -> Spotting:
    own = Path(params.data.streams)
    of = (params.labels, params.background)
    streams = [*read_streams(paths.STREAMS, *of), *read_streams(own, *of, "recordings")]
    if not streams:
        where = f"{params.data.eval} and {own}"
        warnings.warn(f"{where}: no stream, so every threshold is {FALLBACK}", stacklevel=1)
        return Spotting(np.full(len(params.keywords), FALLBACK))
    rules, target = params.detector.rules, params.detector.target_fa_per_hour
    columns = params.columns
    scored = score_streams(paths.ONNX, streams, params.features, rules.hop_ms)
    averages = [Averages(rules, len(columns)).push(p[:, columns]) for _, p in scored]
    heard = [Heard(s, a, x.spoken) for (s, _), a, x in zip(scored, averages, streams, strict=True)]
    return evaluate_streams(streams, heard, params.keywords, rules, params.features.clip_s, target)


if __name__ == "__main__":
    run(main)
