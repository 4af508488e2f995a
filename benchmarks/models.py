"""Latency of every network in conf/model, float and INT8, on one thread; the baseline is `crnn_mean`.

Weights are random: latency does not depend on them.
"""

import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from onnx import ModelProto

from kws.models import build_model
from kws.params.compose import compose
from kws.params.sections import Host
from kws.params.whole import load_params
from kws.runtime.inference import Classifier
from kws.targets.benchmark import time_calls
from kws.targets.calibration import write_tar
from kws.targets.export import to_onnx
from kws.targets.host import compile_host
from kws.training.checkpoint import Checkpoint

ROOT = Path(__file__).parent.parent
NAMES = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml"))
BASELINE = "crnn_mean"
HOST = Host(calibration_method="MinMax", float_input=True, float_ops=[], threads=1, warmup=10, repeat=50)
ROUNDS, SAMPLES = 20, 32


def exported(name: str) -> ModelProto:
    """Return the ONNX graph of a network of conf/model."""
    with TemporaryDirectory() as folder:
        compose(ROOT / "conf", Path(folder) / "params.yaml", [f"model={name}"])
        params = load_params(Path(folder) / "params.yaml")
    torch.manual_seed(0)
    shape = (params.features.n_frames, params.features.n_mels)
    network = build_model(params.model, *shape, len(params.labels))
    with torch.no_grad():
        network(torch.randn(SAMPLES, 1, *shape))  # or all batch norms, folded, would share one bias of zeros
    return to_onnx(Checkpoint(network.state_dict(), params.labels, params.model, params.features))


def quantised(model: ModelProto) -> ModelProto:
    """Return the INT8 form, calibrated with noise."""
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    noise = np.random.default_rng(0).standard_normal((SAMPLES, *shape[1:]), np.float32)
    with TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "kws.onnx")
        write_tar(Path(folder) / "calib.tar", noise)
        return compile_host(Path(folder) / "kws.onnx", Path(folder) / "calib.tar", HOST)[0]


def latencies(models: dict[str, ModelProto]) -> dict[str, float]:
    """Return the median ms of one inference; models take turns, so that a busy moment meets all of them."""
    classifiers = {name: Classifier(model.SerializeToString()) for name, model in models.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, classifier in classifiers.items():
            clip = np.zeros(classifier.session.get_inputs()[0].shape, np.float32)
            times[name] += list(time_calls(partial(classifier.logits, clip), HOST.warmup, HOST.repeat))
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Print one JSON object a line."""
    floats = {name: exported(name) for name in NAMES}
    forms = {"float": floats, "int8": {name: quantised(model) for name, model in floats.items()}}
    for form, models in forms.items():
        found = latencies(models)
        baseline = found[BASELINE]
        for name, value in found.items():
            row = {"name": f"{name}_{form}", "value": round(value, 3), "unit": "ms"}
            print(json.dumps(row | {"baseline": round(baseline, 3), "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    main()
