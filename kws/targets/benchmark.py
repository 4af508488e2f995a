"""How fast a model answers, and how far its answers are from those of the float model."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Labels, Logits
from kws.runtime.inference import accuracy


def time_calls(call: Callable[[], Any], warmup: int, repeat: int) -> NDArray[np.float64]:
    """Return the milliseconds of each of `repeat` calls, after `warmup` untimed ones."""
    for _ in range(warmup):
        call()
    times = np.empty(repeat)
    for index in range(repeat):
        start = time.perf_counter_ns()
        call()
        times[index] = (time.perf_counter_ns() - start) / 1e6
    return times


def summarise(times: NDArray[np.float64]) -> dict[str, float]:
    """Return min, mean, p50, p95, p99 and max of times in ms, rounded to the microsecond."""
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    values = {
        "min": times.min(),
        "mean": times.mean(),
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "max": times.max(),
    }
    return {name: round(float(value), 3) for name, value in values.items()}


def compare(reference: Logits, compiled: Logits, actual: Labels) -> dict[str, float]:
    """Return top-1 agreement, mean cosine of the logits, accuracy, and what the compilation cost of it.

    Logits that are all zero agree with nothing: their cosine counts as 0.
    """
    a, b = (logits.astype(np.float64) for logits in (reference, compiled))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.divide(np.sum(a * b, axis=1), norms, out=np.zeros(len(a)), where=norms > 0)
    correct = accuracy(compiled, actual)
    return {
        "top1_agreement": accuracy(compiled, reference.argmax(axis=1)),
        "cosine": float(np.mean(cosines)),
        "accuracy": correct,
        "accuracy_drop": accuracy(reference, actual) - correct,
    }
