"""A project that has come as far as the calibration, with a small untrained network, for the Axera stages."""

import importlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

import stages
from conftest import ROOT
from kws.board.inputs import write_inputs
from kws.models import build_model
from kws.params.compose import compose
from kws.params.whole import load_params
from kws.targets.calibration import write_tar
from kws.targets.export import to_onnx
from kws.training.checkpoint import Checkpoint


def make_project(folder: Path, n_inputs: int = 6, *overrides: str) -> None:
    """Write params.yaml, models/kws.onnx and data/calib below a folder."""
    compose(
        ROOT / "conf",
        folder / "params.yaml",
        [
            "target=[host,ax630c,ax650n]",
            "model=crnn_mean",
            "model.hidden=8",
            "model.channels=[4,4]",
            *overrides,
        ],
    )
    params = load_params(folder / "params.yaml")
    torch.manual_seed(0)
    front_end = params.features
    network = build_model(params.model, front_end.n_frames, front_end.n_mels, len(params.labels))
    (folder / "models").mkdir()
    model = to_onnx(Checkpoint(network.state_dict(), params.labels, params.model, front_end))
    onnx.save(model, folder / "models/kws.onnx")
    calib = folder / "data/calib"
    calib.mkdir(parents=True)
    samples = np.random.default_rng(0).standard_normal((n_inputs + 4, 1, 98, 64)).astype(np.float32)
    write_tar(calib / "calib_kws.tar", samples[:4])
    labels = [params.labels[i % len(params.labels)] for i in range(n_inputs)]
    write_inputs(calib, samples[4:], labels, [f"{i}.wav" for i in range(n_inputs)])


def stage(name: str, *arguments: str) -> str | None:
    """Run a stage in this process as DVC does in another; return its exit message."""
    sys.argv[1:] = arguments
    try:
        with warnings.catch_warnings(action="always"):  # a stage prints them
            stages.run(importlib.import_module(f"stages.{name}").main)
    except SystemExit as exit_:
        return str(exit_.code)
    return None


def read(path: str) -> dict:
    return json.loads(Path(path).read_text())


def files(folder: str) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file()}
