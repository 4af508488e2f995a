"""Measure a compiled model on the held-out inputs: reports/benchmark/<target>.json."""

import json
from typing import Any

from kws.board.inputs import read_inputs
from kws.board.measure import measure
from kws.board.simulate import simulate
from kws.board.ssh import find_link
from kws.common.files import scratch, write_json
from kws.common.types import Features, Logits
from kws.params.sections import Ax630c, Ax650n, Host
from kws.params.whole import load_params
from kws.runtime.inference import Classifier, instructions
from kws.targets.benchmark import compare, summarise, time_calls
from stages import paths, run


def main(target: str) -> None:
    """Time the model on what it was compiled for, and compare its answers with those of the float model."""
    params = load_params(paths.PARAMS)
    shape = (params.features.n_frames, params.features.n_mels)
    inputs, actual = read_inputs(paths.CALIB, shape, params.labels)
    chosen = params.target.chosen(target)
    if isinstance(chosen, Host):
        answers, measured = _host(target, inputs, chosen)
    else:
        answers, measured = _axera(target, len(params.labels), chosen)
    build = json.loads((paths.target(target) / "build.json").read_text(encoding="utf-8"))
    scores = compare(Classifier(paths.ONNX).logits(inputs), answers, actual)
    write_json(paths.benchmark(target), {"tool": build["tool"], **measured, **scores})


def _host(target: str, inputs: Features, host: Host) -> tuple[Logits, dict[str, Any]]:
    compiled = Classifier(paths.target(target) / "kws.onnx", host.threads)
    times = time_calls(lambda: compiled.logits(inputs[:1]), host.warmup, host.repeat)
    return compiled.logits(inputs), {"latency_ms": summarise(times), "int8_instructions": instructions()}


def _axera(target: str, n_labels: int, chosen: Ax630c | Ax650n) -> tuple[Logits, dict[str, Any]]:
    """Use the board if one is named; else Pulsar2's simulation, which knows the answers but no times."""
    axmodel = paths.target(target) / "kws.axmodel"
    if link := find_link(target):
        done = measure(link, axmodel, paths.CALIB, n_labels, chosen)
        board = {
            "chip": done.chip,
            **done.latency.facts,
            "percentiles": done.latency.percentiles,
            "inputs_by_list": done.listed,
        }
        return done.logits, {"simulated": False, "latency_ms": done.latency.latency_ms, "board": board}
    with scratch(paths.simulation(target)) as job:
        logits = simulate(target, axmodel, paths.CALIB, n_labels, chosen, job)
    return logits, {"simulated": True}


if __name__ == "__main__":
    run(main)
