"""Measure the model with every operator in 8 bits, as an NPU computes it: reports/all_int8.json."""

from pathlib import Path

import numpy as np
import onnx

from kws.board.inputs import read_inputs
from kws.common.files import scratch, write_json
from kws.detector import read_spec
from kws.evaluation.answers import averages
from kws.evaluation.scoring import score_streams
from kws.evaluation.streams import read_both
from kws.evaluation.sweep import tally
from kws.evaluation.words import accepted
from kws.params.whole import load_params
from kws.runtime.inference import Classifier, accuracy
from kws.targets.host import TOOL, quantise
from stages import paths, run


def main() -> None:
    """Quantise models/kws.onnx; let it hear the board's inputs and the reported streams, at its thresholds.

    An estimate: an NPU rounds in other places, and fuses other operators.
    """
    params, spec = load_params(paths.PARAMS), read_spec(paths.DETECTOR)
    front_end, of = params.features, (params.labels, params.background)
    inputs, actual = read_inputs(paths.CALIB, (front_end.n_frames, front_end.n_mels), params.labels)
    streams = [s for s in read_both(paths.STREAMS, Path(params.data.streams), *of) if not s.tuning]
    found: dict[str, object] = {"tool": TOOL}
    with scratch(paths.ALL_INT8.with_suffix(".partial")) as work:
        onnx.save(quantise(paths.ONNX, paths.CALIB / "calib_kws.tar"), work / "kws.onnx")
        logits = Classifier(work / "kws.onnx").logits(inputs)
        scored = score_streams(work / "kws.onnx", streams, front_end, spec.rules.hop_ms)
    said = np.isin(actual, params.columns)
    if said.any():
        found["words"] = accuracy(logits[said], actual[said])
    if not said.all():
        found["near_misses"] = float(np.mean(accepted(logits[~said], params.columns)))
    if len(said):
        found["agreement"] = accuracy(logits, Classifier(paths.ONNX).logits(inputs).argmax(1))
    if streams:
        heard = averages(scored, streams, spec.rules, params.columns)
        on = np.array([[spec.on[keyword] for keyword in spec.keywords]])
        counts = tally(heard, spec.keywords, spec.rules, spec.window_s, on)
        found["fa_per_hour"] = float(counts.fa_per_hour[0])
        if counts.words.sum():
            found["recall"] = float(counts.recall[0])
    write_json(paths.ALL_INT8, found)


if __name__ == "__main__":
    run(main)
