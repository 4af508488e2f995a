"""What `ax_run_model` prints, old and new versions: read by key, never by place."""

import re
from dataclasses import dataclass, field
from typing import Literal

from kws.common.programs import LINE, plain

_FACTS = {
    "model type": "model_type",
    "type": "model_type",
    "vnpu": "vnpu",
    "affinity": "affinity",
    "pulsar2 ver": "pulsar2",
    "engine ver": "engine",
    "axclrt ver": "engine",
    "tool ver": "tool",
    "cmm size": "cmm",
}
"""The tool's keys, and this project's. `type` is how much of the NPU the model takes, not a data type."""
_FACT = re.compile(rf"^\s*({'|'.join(_FACTS)}): (\S.{{0,79}})$", re.MULTILINE)
_TIME = re.compile(r"(?<![\w.%])(min|max|avg|median|5%|90%|95%|99%)\s*=\s*(\d{1,9}(?:\.\d{1,6})?)\s*ms")
_NAMES = {"min": "min", "max": "max", "avg": "mean", "median": "p50"}
_ASCENDING = {"5%": "p5", "90%": "p90", "95%": "p95", "99%": "p99"}
_DESCENDING = {"5%": "p95", "90%": "p10", "95%": "p5", "99%": "p1"}
_UNDECIDED = {"5%": ("p5", "p95")}
_KEYS = ("min", "mean", "p1", "p5", "p10", "p50", "p90", "p95", "p99", "max")


@dataclass(frozen=True)
class Report:
    """One run of the tool."""

    latency_ms: dict[str, float] = field(default_factory=dict)
    """min, mean and max; of 100 timings or more also percentiles, those that the tool did print."""
    percentiles: Literal["ascending", "descending", "undecided", "contradictory"] | None = None
    """The order of the times from which the tool took its percentiles; None where it printed none."""
    facts: dict[str, str] = field(default_factory=dict)
    found: int | None = None
    """Inputs that the list names."""
    skipped: int = 0
    """Inputs whose folder was not found."""
    errors: tuple[str, ...] = ()


def parse(raw: bytes) -> Report:
    """Return what a run reported; whatever is not understood is passed over.

    Lines end in a line feed alone: a list with Windows line ends puts carriage returns inside of lines.
    Version 2.3.3sp takes its percentiles from times sorted downwards, so what it calls 5 % is p95 and what it
    calls 99 % is p1; a real p99 is then not known, and is left out.
    """
    text = plain(raw)
    times = {name: float(value) for name, value in _TIME.findall(text)}
    latency = {ours: times[theirs] for theirs, ours in _NAMES.items() if theirs in times}
    order = _order(times)
    if order == "undecided":
        latency |= {ours: times[theirs] for theirs, names in _UNDECIDED.items() for ours in names}
    elif order in ("ascending", "descending"):
        names = _ASCENDING if order == "ascending" else _DESCENDING
        latency |= {ours: times[theirs] for theirs, ours in names.items() if theirs in times}
    found = re.search(r"[Tt]otal found \{(\d{1,9})\}", text)
    return Report(
        latency_ms={key: latency[key] for key in _KEYS if key in latency},
        percentiles=order,
        facts={_FACTS[key]: value.strip() for key, value in _FACT.findall(text)},
        found=int(found[1]) if found else None,
        skipped=len(re.findall(r"does not has input folder .{0,500}skipped", text)),
        errors=tuple(
            line[:LINE] for line in re.findall(r"(\[ERROR\] .*|Get model type failed.*)", text)[:20]
        ),
    )


def explain(
    report: Report, code: int = 0, *, loaded: bool = False, short_of_memory: bool = False
) -> str | None:
    """Return the usual cause of a failed run and what to do, or None where none is known.

    `code` is its exit status. `loaded` says that the same model loaded there a moment ago, so it is for this
    chip and engine. `short_of_memory` says that the NPU has less memory left than the model takes.
    """
    said = " ".join(report.errors)
    if any(phrase in said for phrase in _LOADING) and (short_of_memory or loaded):
        return _MEMORY if short_of_memory else _AGAIN
    if code in _CRASHED:
        return _CRASH
    return next((cause for phrase, cause in _CAUSES.items() if phrase in said), None)


def _order(
    times: dict[str, float],
) -> Literal["ascending", "descending", "undecided", "contradictory"] | None:
    if not {"median", "5%"} <= times.keys():
        return None
    median = times["median"]
    steps = [median - times["5%"]] + [times[name] - median for name in ("90%", "95%", "99%") if name in times]
    if all(step == 0 for step in steps):
        return "undecided"
    if all(step >= 0 for step in steps):
        return "ascending"
    if all(step <= 0 for step in steps):
        return "descending"
    return "contradictory"


_CRASHED = (139, -11)
"""What a shell and Python make of SIGSEGV."""
_OTHER = (
    "the model is for another chip, or for a newer runtime (engine 2.6.3sp loads models of Pulsar2 4.2); "
    "if it has loaded before, reboot the board"
)
_AGAIN = "users report that a model loads twice and then no more until the board is rebooted: reboot it"
_CRASH = (
    "the engine crashed; users report this, and one cause is known, a tool of another version than the "
    "board's BSP: use the BSP's own, and the Pulsar2 that it names, or renew the BSP"
)
_MEMORY = (
    "the NPU's memory is short, mostly because StackFlow's services hold it; stop them while measuring: "
    "systemctl stop 'llm-*'"
)
_LOADING = ("Get model type failed", "Loading model", "Create model")
_CAUSES = {
    "Memory allocation": _MEMORY,
    "Get model type failed": f"the disk is full, or {_OTHER}",
    "Loading model": _OTHER,
    "Create model": _OTHER,
    "Run model in warmup": "16-bit models are known to fail on engine 2.6.3sp; use precision int8",
    "is not equal the specified": "the inputs have another shape than the model's; run `calib` again",
    "affinity cannot be set": "another program has switched the virtual NPU on; stop it, e.g. llm-sys",
}
"""Phrases of the tool's errors and what mostly causes them; the first that is found counts.

Sources: the tool's published source; threads AXERA-TECH/ax-llm#4 (third start) and AXERA-TECH/ax-samples#111
(crash) on GitHub, the second of which names no cause; that another SDK crashes is from ax-pipeline#114.
"""
