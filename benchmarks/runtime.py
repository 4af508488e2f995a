"""One hop of 100 ms on one core: what listening costs, and what each part of it costs.

Run with `python -m benchmarks.runtime` after `dvc repro evaluate`; it prints one JSON object a line. The
baselines are what the project promises: 2 % of real time, and 5 ms for one hop in a hundred.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from kws.detector import Averages, Detector
from kws.features.logmel import features
from kws.features.streaming import FeatureStream
from kws.recordings.audio import audio_files, read_audio
from kws.runtime.gate import AutomaticGain, SpeechGate
from kws.runtime.inference import Classifier, softmax
from kws.runtime.kit import read_kit
from kws.runtime.spotter import Spotter
from kws.targets.benchmark import summarise, time_calls

MINUTES = 5
REAL_TIME_SHARE, HOP_P99_MS = 0.02, 5.0


def report(name: str, value: float, unit: str, baseline: float | None = None) -> None:
    """Print a measurement; where there is a baseline, the ratio to it."""
    ratio = round(value / baseline, 3) if baseline else None
    row = {"name": name, "value": round(value, 4), "unit": unit, "baseline": baseline, "ratio": ratio}
    print(json.dumps(row), flush=True)


def timed(name: str, call: Callable[[Any], Any], values: Sequence[Any], hop_ms: float) -> dict[str, float]:
    """Report p50 of a call for each of some values, as ms a hop, and return all its figures."""
    left = iter(values)
    found = summarise(time_calls(lambda: call(next(left)), 20, len(values) - 20))
    report(name, found["p50"], "ms", hop_ms)
    return found


def main() -> None:
    """Time some minutes of talk, hop by hop."""
    kit = read_kit(Path("models/kws.onnx"), Path("models/detector.json"))
    front_end, hop_ms = kit.front_end, kit.detector.rules.hop_ms
    rate = front_end.sample_rate
    hop = round(hop_ms * rate / 1000)
    talk = np.concatenate([read_audio(path, rate) for path in audio_files(Path("data/eval/talk"))])
    hops = list(np.resize(talk, MINUTES * 60 * rate // hop * hop).reshape(-1, hop))
    report("load of this machine before", os.getloadavg()[0], "processes", float(os.cpu_count() or 1))
    with threadpool_limits(1):
        before = process_time()
        whole = timed("one hop, p50", Spotter(kit).push, hops, hop_ms)
        used = (process_time() - before) / (MINUTES * 60)
        report("one core's time in real time", used, "", REAL_TIME_SHARE)
        report("the clock's time in real time", whole["mean"] / hop_ms, "", REAL_TIME_SHARE)
        report("one hop, p99", whole["p99"], "ms", HOP_P99_MS)
        report("one hop, longest", whole["max"], "ms")
        stream = FeatureStream(front_end, hop_ms)
        timed("front end", stream.push, hops, hop_ms)
        windows = FeatureStream(front_end, hop_ms).push(np.concatenate(hops))
        clips = [talk[at : at + front_end.clip_samples] for at in range(0, len(talk) - rate, hop)]
        timed("front end, each window as a clip", lambda clip: features(clip, front_end), clips, hop_ms)
        batches = [window[None] for window in windows]
        timed("inference", lambda batch: softmax(kit.model.logits(batch)), batches, hop_ms)
        host = Path("models/host/kws.onnx")
        if host.is_file():
            timed("inference, INT8 on the host", Classifier(host).logits, batches, hop_ms)
        scores = [softmax(kit.model.logits(batch))[:, kit.detector.columns] for batch in batches]
        averages = Averages(kit.detector.rules, len(kit.detector.keywords))
        detector = Detector(kit.detector)
        timed("detector", lambda of: detector.push(averages.push(of)), scores, hop_ms)
        timed("voice-activity gate", SpeechGate(front_end, hop_ms).push, hops, hop_ms)
        timed("automatic gain", AutomaticGain(rate).push, hops, hop_ms)


if __name__ == "__main__":
    main()
