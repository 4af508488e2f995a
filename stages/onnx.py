"""Export the network: models/kws.onnx, simplified and checked against torch, and reports/onnx.json."""

import onnx

from kws.augment.splits import VAL
from kws.common.files import replacing, write_json
from kws.params.whole import load_params
from kws.targets.export import max_abs_diff, to_onnx
from kws.targets.graph import macs, n_params
from kws.training.checkpoint import load_checkpoint
from stages import paths, run
from stages.data import dataset

CHECKED = 64
"""Validation clips on which torch and ONNX must agree."""


def main() -> None:
    """Write the graph, what it costs, and how far it is from torch."""
    params = load_params(paths.PARAMS)
    checkpoint = load_checkpoint(paths.CHECKPOINT, params.features)
    inputs, _ = next(dataset(params, VAL).batches(CHECKED))
    model = to_onnx(checkpoint)
    diff = max_abs_diff(checkpoint, model, inputs)
    with replacing(paths.ONNX) as partial:
        onnx.save(model, partial)
    summary = {
        "params": n_params(model),
        "macs": macs(model),
        "size_kb": round(paths.ONNX.stat().st_size / 1024, 1),
        "max_abs_diff": diff,
    }
    write_json(paths.ONNX_REPORT, summary)


if __name__ == "__main__":
    run(main)
