"""The Axera NPUs: Pulsar2 compiles the ONNX, and what it made is checked against the ONNX."""

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import onnx

from kws.common.errors import UserError
from kws.common.files import sha256, write_json
from kws.common.programs import plain
from kws.params.sections import Ax630c, Ax650n
from kws.targets import build_log
from kws.targets.axmodel import Axmodel, Signature, read_axmodel, signature, wrong_chip
from kws.targets.calibration import convert_tar
from kws.targets.precision import REPORT, layers_of, unhonoured
from kws.targets.pulsar2 import ARCHIVE, AXMODEL, CONFIG, MODEL, build_config
from kws.targets.toolchain import Toolchain, toolchain_for


def compile_axera(
    name: str, model: Path, tar: Path, target: Ax630c | Ax650n, folder: Path, log: Path
) -> dict[str, Any]:
    """Write `kws.axmodel`, `pulsar2.json` and `build.log` into `folder` and return the facts for build.json.

    The log grows at `log` while Pulsar2 runs, and stays there when it fails. Raises UserError with one line
    for whatever goes wrong: no Pulsar2, its errors, its time limit, or an axmodel that is not the ONNX's.
    """
    tools = toolchain_for(name, target.image)
    job = folder / "job"
    version = _titled(name, lambda: tools.version(job))
    _warn_of_other_version(target.image, version, tools)
    graph = onnx.load(model).graph
    layers = layers_of(f"target.{name}.precision", target.precision, graph)
    (only, (_, shape)), *_ = signature(graph)[0].items()
    scaling = convert_tar(tar, job / "in" / ARCHIVE, target.calibration_format, only, shape)
    shutil.copyfile(model, job / "in" / MODEL)
    config = build_config(target, tools.root(job), only, shape, scaling, layers)
    write_json(job / "in" / CONFIG, config)
    (job / "out/tmp").mkdir(parents=True, exist_ok=True)
    command = ["build", "--config", f"{tools.root(job)}/in/{CONFIG}"]
    done = tools.run(job, command, target.timeout_min * 60, log, _Progress(name))
    said = log.read_text(encoding="utf-8")
    if not done.ok:
        what = {
            "timeout": f"was stopped after {target.timeout_min:g} minutes; raise target.{name}.timeout_min",
            "flood": "printed without end and was stopped",
        }.get(done.ended) or build_log.failure(said, done.code)
        raise UserError(f"target.{name}: {version} {what}; its log: {log}")
    what = f"target.{name}: {version} ended well, but its {AXMODEL}"
    compiled = check_axmodel(job / "out" / AXMODEL, graph, target, version, what)
    facts = {
        "tool": version,
        "container": None if tools.native else {"image": tools.image, "id": tools.image_id},
        **build_log.facts(said),
        "size_kb": round((job / "out" / AXMODEL).stat().st_size / 1024, 1),
        "axmodel": sha256(job / "out" / AXMODEL),
        "compiled_for": compiled.facts,
    }
    if layers:
        facts["not_honoured"] = left = unhonoured(layers, graph, job / "out")
        _warn_of_layers(f"target.{name}: precision {target.precision}", version, left)
    table = job / "out/quant/debug/precision_analysis_table.txt"
    if target.precision_analysis and table.is_file():
        facts["precision"] = build_log.precision_table(plain(table.read_bytes()[: 2**20]))
    for source, kept in (
        (job / "out" / AXMODEL, AXMODEL),
        (job / "in" / CONFIG, CONFIG),
        (log, "build.log"),
    ):
        shutil.copyfile(source, folder / kept)
    log.unlink()
    shutil.rmtree(job)
    return facts


def check_axmodel(
    path: Path, graph: onnx.GraphProto, target: Ax630c | Ax650n, version: str, what: str
) -> Axmodel:
    """Return what the file says of itself; raise UserError, beginning with `what`, where it is another's.

    It must have the graph's inputs and outputs, be for the chip and the mode that were asked for, and be of
    this Pulsar2. A warning says what it keeps to itself.
    """
    compiled = read_axmodel(path, what)
    if (compiled.inputs, compiled.outputs) != signature(graph):
        found = _shapes(compiled.inputs, compiled.outputs)
        expected = _shapes(*signature(graph))
        raise UserError(f"{what} has other inputs or outputs than the ONNX: {found}, expected {expected}")
    if wrong := wrong_chip(compiled, target.hardware, target.npu_mode):
        raise UserError(f"{what} {wrong}; please report this, with its log")
    if compiled.pulsar2 and compiled.pulsar2 != version.split()[1]:
        raise UserError(f"{what} is of Pulsar2 {compiled.pulsar2}, expected {version}; please report this")
    if compiled.hardware is None:
        warnings.warn(f"{what} does not say which chip it is for, so that was not checked", stacklevel=3)
    return compiled


class _Progress:
    """Shows each step of a build once."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, ""

    def __call__(self, line: str) -> None:
        step = build_log.progress(line)
        if step and step != self.last:
            self.last = step
            print(f"{self.name}: {step}", file=sys.stderr, flush=True)


def _titled(name: str, ask: Any) -> str:
    try:
        return str(ask())
    except UserError as error:
        raise UserError(f"target.{name}: {error}; `kws doctor {name}` looks for the cause") from error


def _warn_of_other_version(image: str, version: str, tools: Toolchain) -> None:
    tag = image.rpartition(":")[2].removesuffix("-lite")
    if tools.native and not image.startswith("sha256:") and version.split()[1] != tag:
        warnings.warn(
            f"{version} is installed, but the image would be {image}; an older board may not load its model",
            stacklevel=3,
        )


def _warn_of_layers(what: str, version: str, left: list[str] | None) -> None:
    if left is None:
        warnings.warn(f"{what} may not be honoured: {version} left no {REPORT} to see it in", stacklevel=3)
    elif left:
        many = f"{len(left)} layers, as" if len(left) > 1 else "one layer,"
        warnings.warn(f"{what} was not honoured for {many} {left[0]}; see build.json", stacklevel=3)


def _shapes(*parts: Signature) -> str:
    return json.dumps([{name: shape for name, (_, shape) in part.items()} for part in parts])
