"""Score the exported model: reports/evaluation.json, models/detector.json and tables for plots."""

import warnings
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from kws.augment.splits import VAL
from kws.common.files import write_json, write_table
from kws.detector import DetectorSpec, write_spec
from kws.evaluation.answers import Answers, averages, of_head, of_model
from kws.evaluation.events import Outcome
from kws.evaluation.heard import drawn
from kws.evaluation.recordings import find_near_misses, find_words, read_features
from kws.evaluation.spotting import Spotting, evaluate_streams
from kws.evaluation.streams import Stream, read_both
from kws.evaluation.summary import summarise_near_misses, summarise_words
from kws.params.sections import EncoderModel
from kws.params.whole import Params, load_params
from kws.runtime.inference import accuracy
from stages import paths, run
from stages.data import dataset

FALLBACK = 0.5
"""Threshold of every keyword where no stream tells a better one."""


def main() -> None:
    """Measure validation clips, words and near misses of unseen voices, and streams."""
    params = load_params(paths.PARAMS)
    folder, of, rules = Path(params.data.eval), (params.labels, params.background), params.detector.rules
    words, near_misses = find_words(folder, *of), find_near_misses(folder, *of)
    streams = read_both(paths.STREAMS, Path(params.data.streams), *of)
    val = dataset(params, VAL)
    if isinstance(params.model, EncoderModel):
        heard, seed = dataset(params, VAL, paths.heard), params.stream.seed
        chosen, counts = drawn(len(val), seed, VAL), (len(words), len(near_misses))
        clips = val.take(chosen)[0], heard.take(chosen)[0][:, 0]
        batches = (directions[:, 0] for directions, _ in heard.batches(256))
        answers = of_head(paths.ONNX, batches, clips, paths.HEARD_EVAL, counts, streams, seed)
    else:
        batches = (features for features, _ in val.batches(256))
        sets = [read_features(folder, part, params.features) for part in (words, near_misses)]
        answers = of_model(paths.ONNX, batches, sets, streams, params.features, rules.hop_ms)
    scores = {"same_source": {"accuracy": accuracy(answers.val, val.labels)}}
    if len(words):
        scores["words"] = summarise_words(answers.words, words, params.labels)
    if len(near_misses):
        both = (answers.near_misses, near_misses, answers.words, words)
        scores["near_misses"] = summarise_near_misses(*both, params.columns)
    found = _streams(params, streams, answers)
    if found.summary:
        scores["stream"] = found.summary
    write_json(paths.EVALUATION, scores)
    on = dict(zip(params.keywords, map(float, found.thresholds), strict=True))
    write_spec(paths.DETECTOR, DetectorSpec(*of, params.features.clip_s, rules, on, found.points))
    pairs = zip(words.labels, answers.words.argmax(1), strict=True)
    confusion = [{"actual": params.labels[a], "predicted": params.labels[p]} for a, p in pairs]
    write_table(paths.CONFUSION, ["actual", "predicted"], confusion)
    for path, outcomes in ((paths.EVENTS, found.outcomes), (paths.LOUDEST, found.loudest)):
        write_table(path, [field.name for field in fields(Outcome)], map(asdict, outcomes))
    tables = ((paths.DET, found.det), (paths.SCORES, found.histogram), (paths.TIMELINE, found.timeline))
    for path, rows in tables:
        write_table(path, list(rows[0]) if rows else [], rows)


def _streams(params: Params, streams: list[Stream], answers: Answers) -> Spotting:
    if not streams:
        where = f"{params.data.eval} and {params.data.streams}"
        warnings.warn(f"{where}: no stream, so every threshold is {FALLBACK}", stacklevel=1)
        return Spotting(np.full(len(params.keywords), FALLBACK))
    rules, target = params.detector.rules, params.detector.target_fa_per_hour
    heard = averages(answers.streams, streams, rules, params.columns)
    return evaluate_streams(streams, heard, params.keywords, rules, params.features.clip_s, target)


if __name__ == "__main__":
    run(main)
