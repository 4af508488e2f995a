"""Measure the model with every operator in 8 bits, as an NPU computes it: reports/all_int8.json."""

from pathlib import Path

import numpy as np
import onnx

from kws.board.inputs import read_inputs
from kws.common.arrays import map_array
from kws.common.files import scratch, write_json
from kws.detector import read_spec
from kws.evaluation import heard
from kws.evaluation.answers import averages
from kws.evaluation.halves import head_of
from kws.evaluation.scoring import score_streams
from kws.evaluation.streams import read_both
from kws.evaluation.sweep import tally
from kws.evaluation.words import accepted
from kws.params.sections import EncoderModel
from kws.params.whole import load_params
from kws.runtime.inference import Classifier, accuracy
from kws.targets.calibration import write_tar
from kws.targets.host import TOOL, quantise
from stages import paths, run


def main() -> None:
    """Quantise models/kws.onnx, or its head, and measure it at its thresholds on the reported streams.

    An estimate: an NPU rounds in other places, and fuses other operators.
    """
    params, spec = load_params(paths.PARAMS), read_spec(paths.DETECTOR)
    front_end, of = params.features, (params.labels, params.background)
    inputs, actual = read_inputs(paths.CALIB, (front_end.n_frames, front_end.n_mels), params.labels)
    streams = [s for s in read_both(paths.STREAMS, Path(params.data.streams), *of) if not s.tuning]
    found: dict[str, object] = {"tool": TOOL}
    with scratch(paths.ALL_INT8.with_suffix(".partial")) as work:
        if isinstance(params.model, EncoderModel):
            onnx.save(head_of(onnx.load(paths.ONNX)), work / "head.onnx")
            write_tar(work / "calib.tar", map_array(paths.HEARD_INT8 / paths.CALIBRATED, np.float32, 2))
            head = Classifier(quantise(work / "head.onnx", work / "calib.tar").SerializeToString())
            logits = heard.clip_logits(head, paths.HEARD_INT8 / paths.INPUTS, len(inputs))
            scored = heard.score_streams(paths.HEARD_INT8, head, streams)
        else:
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
        smooth = averages(scored, streams, spec.rules, params.columns)
        on = np.array([[spec.on[keyword] for keyword in spec.keywords]])
        counts = tally(smooth, spec.keywords, spec.rules, spec.window_s, on)
        found["fa_per_hour"] = float(counts.fa_per_hour[0])
        if counts.words.sum():
            found["recall"] = float(counts.recall[0])
    write_json(paths.ALL_INT8, found)


if __name__ == "__main__":
    run(main)
