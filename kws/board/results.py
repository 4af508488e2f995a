"""What came back from somebody's board: the archive of handover.sh, read as foreign, in plain lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.board.ax_run_model import parse
from kws.board.doctor import Check
from kws.board.handover import FACTS, Handover, Model
from kws.board.inputs import read_outputs
from kws.board.measure import check_times, fault, read_members, read_probe
from kws.common.errors import UserError
from kws.common.foreign import parse_json, read_bytes, typed
from kws.common.programs import MIB, Finished, last_line, plain
from kws.common.types import Logits
from kws.targets.axmodel import CHIPS, TARGETS
from kws.targets.benchmark import compare

LONGEST = 64 * MIB
"""Bytes of such an archive; one of a thousand inputs has two million."""
_BLOCK, _FOLDER = 512, "results/"


@dataclass(frozen=True)
class Results:
    """What came back."""

    handover: Handover
    files: dict[str, bytes]
    run: dict[str, str]
    """What the script noted: the target, the exit status of each call, how many answers there were."""

    def finished(self, name: str) -> Finished:
        """Return a run of the tool. Raises UserError where the script did not come to it."""
        code = self.run.get(name, "")
        if not re.fullmatch(r"[0-9]{1,3}", code):
            raise UserError(f"was not run; {self.last_words()}")
        return Finished(int(code), self.files.get(f"{name}.txt", b""), b"")

    def last_words(self) -> str:
        """Return how the script's log ends."""
        return f"the script's last words: {last_line(self.files.get('log.txt', b''))}"


def read_results(path: Path) -> Results:
    """Return what the script brought together. Raises UserError, one line, where it is cut short or wrong."""
    content = read_bytes(path, LONGEST)
    if len(content) % _BLOCK or content[-2 * _BLOCK :] != bytes(2 * _BLOCK):
        raise UserError(f"{path}: cut short, or not the results.tar that run.sh wrote; copy it again")
    members = read_members(content, str(path))
    files = {name.removeprefix(_FOLDER): value for name, value in members.items() if name.startswith(_FOLDER)}
    try:
        handover = typed(Handover, parse_json(files[FACTS]))
    except KeyError as error:
        raise UserError(f"{path}: holds no {_FOLDER}{FACTS}; is it what run.sh wrote?") from error
    except ValueError as error:
        raise UserError(f"{path}: {FACTS} is not what was packed ({error}); copy it again") from error
    lines = [line.partition("=") for line in plain(files.get("run.txt", b"")[:65536]).split("\n")]
    return Results(handover, files, {key: value.strip()[:200] for key, _, value in lines if value})


def examine_results(path: Path) -> Iterator[Check]:
    """Yield what an archive says: a line for each open question, answered, or what is missing for it."""
    results = read_results(path)
    name = results.run.get("target", "")
    found, model = read_probe(results.files.get("probe.txt", b"")), results.handover.models.get(name)
    facts = parse(results.files.get("times.txt", b"")).facts
    chips = CHIPS[TARGETS[name]] if model else ()
    fits = bool(model) and (not found.chip or any(chip in found.chip.upper() for chip in chips))
    expected = "" if fits else f", expected {' or '.join(chips) or 'that of a model in the archive'}"
    yield Check("chip", fits, (found.chip or "does not say") + expected)
    system = plain(results.files.get("system.txt", b"")).partition("\n")[0][:200]
    yield Check("system", bool(system), system or "does not say", needed=False)
    tool = f"{found.tool} {facts.get('tool', '(version unknown)')}"
    yield Check("ax_run_model", bool(found.tool), tool if found.tool else "not on the board")
    engine = facts.get("engine") or found.engine
    yield Check("engine", bool(engine), engine or "version unknown")
    if model is None:
        yield Check("model", False, f"none was run; {results.last_words()}")
        return
    yield _model(model, name, results.run.get("sha256", ""))
    for title, question in _QUESTIONS.items():
        try:
            yield Check(title, True, question(results, model))
        except UserError as error:
            yield Check(title, False, str(error))
    services = plain(results.files.get("services.txt", b"")).split()[:20]
    busy = f"{' '.join(services)[:200]}: they take NPU time and memory, so stop them and run again"
    yield Check("services", not services, busy if services else "none of StackFlow's ran", needed=False)


def _model(model: Model, name: str, copied: str) -> Check:
    made_by = f"Pulsar2 {model.pulsar2 or '?'}, {model.precision}"
    damaged = bool(copied) and copied != model.sha256
    says = "; the board's copy is damaged, so unpack the archive there again" if damaged else ""
    return Check("model", not damaged, f"{name}, {model.hardware or '?'} {model.npu_mode}, {made_by}{says}")


def _ran(results: Results, name: str) -> Finished:
    done = results.finished(name)
    if wrong := fault(parse(done.out), done):
        raise UserError(wrong)
    return done


def _loads(results: Results, model: Model) -> str:
    for count in (1, 2, 3):
        try:
            _ran(results, f"load{count}")
        except UserError as error:
            raise UserError(f"start {count} of 3: {error}") from error
    return (
        f"three times in a row: the engine loads {model.precision} models of Pulsar2 {model.pulsar2 or '?'}"
    )


def _times(results: Results, model: Model) -> str:
    report = parse(_ran(results, "times").out)
    check_times(report, "times")
    return ", ".join(f"{key} {value:g}" for key, value in report.latency_ms.items()) + " ms"


def _answers(results: Results, model: Model) -> str:
    handover = results.handover
    try:
        logits = _logits(results)
    except UserError:
        _ran(results, "list")  # says more, where that is why
        raise
    actual = np.array([handover.labels.index(label) for label in handover.said], np.int64)
    found = compare(np.array(handover.float_logits, np.float32), logits, actual)
    fewer = 100 * found["accuracy_drop"]
    return (
        f"{found['top1_agreement']:.1%} as the float model's, cosine {found['cosine']:.4f}; right are "
        f"{found['accuracy']:.1%} of {len(actual)}, {fewer:.1f} points less than float"
    )


def _logits(results: Results) -> Logits:
    wanted = results.handover.inputs
    outputs = {i: results.files[f] for i in wanted if (f := f"output/{i}/output.bin") in results.files}
    return read_outputs(outputs, wanted, len(results.handover.labels), "output")


def _list(results: Results, model: Model) -> str:
    _ran(results, "list")
    return f"one call with a list gives {_count(results, 'listed')} of {len(results.handover.inputs)} answers"


def _line_ends(results: Results, model: Model) -> str:
    n = _count(results, "crlf_outputs")
    skips = "so they are why only one input worked" if n == 0 else "so they do not explain a single answer"
    return f"a list of three with Windows line ends gives {n} answers, {skips}"


def _model_type(results: Results, model: Model) -> str:
    facts = parse(_ran(results, "times").out).facts
    if "model_type" not in facts:
        raise UserError("ax_run_model printed no type")
    return f"{facts['model_type']} for {model.npu_mode or 'an unknown mode'}, vnpu {facts.get('vnpu', '?')}"


def _percentiles(results: Results, model: Model) -> str:
    order = parse(_ran(results, "times").out).percentiles
    if order is None:
        raise UserError("ax_run_model printed none; that takes 100 timings or more")
    return f"taken from times in {order} order" if "scending" in order else order


def _count(results: Results, key: str) -> int:
    value = results.run.get(key, "")
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise UserError("the script did not come to it")
    return int(value)


_QUESTIONS = {
    "loads": _loads,
    "times": _times,
    "answers": _answers,
    "list": _list,
    "line ends": _line_ends,
    "type": _model_type,
    "percentiles": _percentiles,
}
"""What no document answers, and the function that answers it or raises UserError with what is missing."""
