"""Measure a compiled model on the held-out inputs: reports/benchmark/<target>.json."""

import json

from kws.benchmark import compare, summarise, time_calls
from kws.board import read_inputs
from kws.config import load_params
from kws.files import write_json
from kws.inference import Classifier
from stages import paths, run


def main(target: str) -> None:
    """Time single inferences, and compare the answers with those of the float model."""
    params = load_params(paths.PARAMS)
    host = params.target.chosen_host()
    shape = (params.features.n_frames, params.features.n_mels)
    inputs, actual = read_inputs(paths.CALIB, shape, params.labels)
    compiled = Classifier(paths.target(target) / "kws.onnx", host.threads)
    times = time_calls(lambda: compiled.logits(inputs[:1]), host.warmup, host.repeat)
    reference = Classifier(paths.ONNX).logits(inputs)
    build = json.loads((paths.target(target) / "build.json").read_text(encoding="utf-8"))
    scores = compare(reference, compiled.logits(inputs), actual)
    write_json(paths.benchmark(target), {"tool": build["tool"], "latency_ms": summarise(times), **scores})


if __name__ == "__main__":
    run(main)
