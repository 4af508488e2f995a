"""Evaluating a stream: all windows of it against features taken window by window.

Run with `python -m benchmarks.evaluate`, after `dvc repro evaluate`; it prints one JSON object a line.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import soundfile

from kws.detector import Averages
from kws.evaluation.scoring import score_streams
from kws.evaluation.streams import Stream
from kws.evaluation.sweep import GRID, Heard, tally, uniform
from kws.features.logmel import features
from kws.features.streaming import FeatureStream
from kws.params.whole import load_params
from kws.recordings.audio import audio_files, read_audio

HOURS = 1.0
PARTS = 12


def report(name: str, value: float, unit: str, baseline: float | None = None) -> None:
    """Print a measurement; the ratio says how many times less it is than the baseline."""
    ratio = round(baseline / value, 2) if baseline else None
    row = {"name": name, "value": round(value, 3), "unit": unit, "baseline": baseline, "ratio": ratio}
    print(json.dumps(row), flush=True)


def main() -> None:
    """Time one hour from files to counts at all thresholds, and the front end alone on a part of it."""
    params = load_params(Path("params.yaml"))
    front_end, rules = params.features, params.detector.rules
    rate = front_end.sample_rate
    talk = np.concatenate([read_audio(path, rate) for path in audio_files(Path(params.data.eval) / "talk")])
    hour = np.resize(talk, round(HOURS * 3600 * rate))
    with TemporaryDirectory() as folder:
        streams = []
        for index, part in enumerate(np.array_split(hour, PARTS)):
            path = Path(folder) / f"{index:02}.flac"
            soundfile.write(path, part, rate, subtype="PCM_16")
            streams.append(Stream(path, path.name, path.name, "talk", False, []))
        start = perf_counter()
        scored = score_streams(Path("models/kws.onnx"), streams, front_end, rules.hop_ms)
        report("score one hour of streams", perf_counter() - start, "s")
    columns = params.columns
    start = perf_counter()
    averages = [Averages(rules, len(columns)).push(scores[:, columns]) for _, scores in scored]
    heard = [Heard(seconds, mean, []) for (seconds, _), mean in zip(scored, averages, strict=True)]
    tally(heard, params.keywords, rules, front_end.clip_s, uniform(GRID, params.keywords))
    report(f"sweep {len(GRID)} thresholds over it", perf_counter() - start, "s")

    minute = hour[: 60 * rate]
    hop = round(rules.hop_ms * rate / 1000)
    starts = range(0, len(minute) - front_end.clip_samples + 1, hop)
    begin = perf_counter()
    for at in starts:
        features(minute[at : at + front_end.clip_samples], front_end)
    apart = (perf_counter() - begin) / len(starts) * 1000
    begin = perf_counter()
    FeatureStream(front_end, rules.hop_ms).push(minute)
    report("features of a window", (perf_counter() - begin) / len(starts) * 1000, "ms", round(apart, 3))


if __name__ == "__main__":
    main()
