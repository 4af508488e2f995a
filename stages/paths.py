"""Where stages read and write, relative to the repository: the same names as in dvc.yaml."""

from pathlib import Path

PIPELINE = Path("dvc.yaml")
PARAMS = Path("params.yaml")
CHECKED = Path("data/checked")
RIRS = Path("data/rirs/rirs.npy")
CLIPS = Path("data/clips")
HARD = "_hard"
"""The shard of hard negatives; no label starts with an underscore."""
STREAMS = Path("data/streams")
FEATURES = Path("data/features")
CALIB = Path("data/calib")
ENCODER = Path("data/encoder/encoder.pt")
"""Weights that know words by many voices; no output of a stage, see pretrain/."""
EAR = Path("models/encoder.onnx")
HEARD_INT8 = Path("data/heard_int8")
CALIBRATED, INPUTS = "calibration.npy", "inputs.npy"
"""In data/heard_int8: what the clips of the calibration, and the board's inputs, sound like."""
"""The part of the encoder that hears, as a graph; empty for a network that starts from nothing."""
HEARD = Path("data/heard")
HEARD_EVAL = Path("data/heard_eval")
CHECKPOINT = Path("models/kws.pt")
RESUME = Path("models/.resume")
"""Where a training that has not ended is; no output of a stage, so DVC leaves it alone."""
ONNX = Path("models/kws.onnx")
DETECTOR = Path("models/detector.json")
REPORTS = Path("reports")
TRAINING = REPORTS / "training.csv"
LIVE = REPORTS / "live"
"""DVCLive's folder: metrics.json holds the numbers of the last epoch."""
ONNX_REPORT = REPORTS / "onnx.json"
EVALUATION = REPORTS / "evaluation.json"
CONFUSION = REPORTS / "confusion.csv"
DET = REPORTS / "det.csv"
SCORES = REPORTS / "scores.csv"
EVENTS = REPORTS / "events.csv"
LOUDEST = REPORTS / "loudest.csv"
TIMELINE = REPORTS / "timeline.csv"
ALL_INT8 = REPORTS / "all_int8.json"
METRICS = REPORTS / "metrics.json"
HEADLINE = REPORTS / "headline.json"
PAGE = REPORTS / "index.html"
VEGA = REPORTS / "vega.js"
"""What .dvc/plots/page.html draws DVC's plots with, so that they need no network."""


def clips(label: str) -> Path:
    """Folder of a label's clips and manifest."""
    return CLIPS / label


def manifest(label: str) -> Path:
    """File that says how a label's clips were made."""
    return clips(label) / "manifest.csv"


def features(label: str) -> Path:
    """File of a label's features."""
    return FEATURES / f"{label}.npy"


def heard(label: str) -> Path:
    """File of what a label's clips sound like to the encoder."""
    return HEARD / f"{label}.npy"


def target(name: str) -> Path:
    """Folder of a target's compiled model and build.json."""
    return Path("models") / name


def compile_log(name: str) -> Path:
    """Log of a compilation that runs or has failed."""
    return Path("models") / f"{name}.log"


def simulation(name: str) -> Path:
    """Folder that a simulation works in, and that is gone afterwards."""
    return Path("models") / f"{name}.simulation.partial"


def benchmark(name: str) -> Path:
    """What was measured of a target."""
    return REPORTS / "benchmark" / f"{name}.json"
