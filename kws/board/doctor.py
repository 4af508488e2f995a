"""What is there for the Axera targets, what is missing, and how to get it."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto

from kws.board.measure import probe
from kws.board.ssh import Link, connect, find_link
from kws.common.errors import UserError
from kws.params.sections import Ax630c, Ax650n
from kws.targets.axmodel import CHIPS, ENGINES, read_axmodel, too_new
from kws.targets.toolchain import NATIVE, Toolchain, look_up, runs_as_caller

DISK_KB = 2_000_000
"""Free space that a build and its container may need here."""


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report."""

    name: str
    ok: bool
    says: str
    needed: bool = True
    """Whether a target cannot do without it."""

    def __str__(self) -> str:
        """Return the line."""
        state = "ok" if self.ok else "missing" if self.needed else "none"
        return f"{state:8}{self.name:16}{self.says}"


def examine(
    name: str, target: Ax630c | Ax650n, result: Path, environment: Mapping[str, str] = os.environ
) -> Iterator[Check]:
    """Yield what a target needs, in the order it is needed; `result` is its last benchmark, if any."""
    yield from _toolchain(target.image, environment)
    free = shutil.disk_usage(Path.cwd()).free // 1024
    yield Check(
        "disk", free >= DISK_KB, f"{free // 1024} MB free here" + ("" if free >= DISK_KB else "; make room")
    )
    try:
        link = find_link(name, environment)
        yield Check("ssh", shutil.which("ssh") is not None, "the OpenSSH client", needed=False)
        if link is None:
            how = f"KWS_BOARD_{name.upper()}=user@host, or an ssh alias `{name}`"
            yield Check("board", False, f"not named, so results are simulated; {how}", needed=False)
            return
        yield Check("board", True, f"{link.host}, from {link.source}")
        yield from _board(link, target)
    except UserError as error:
        yield Check("board", False, str(error))
        return
    if result.is_file() and json.loads(result.read_text(encoding="utf-8")).get("simulated"):
        again = f"was simulated before the board was there; dvc repro -f -s benchmark@{name}"
        yield Check("benchmark", False, again, needed=False)


def describe(path: Path) -> Iterator[str]:
    """Yield what a compiled model says of itself; raise UserError where it is none or is damaged."""
    model = read_axmodel(path)
    yield f"{path}: {model}"
    for title, values in (("input", model.inputs), ("output", model.outputs)):
        for name, (kind, shape) in values.items():
            yield f"  {title:8}{name:16}{TensorProto.DataType.Name(kind).lower()} {shape}"
    for engine, newest in ENGINES.items():
        loads = "does not load it" if too_new(model, engine) else "loads models of this Pulsar2"
        known = f"  engine  {engine:16}{loads} (known up to {'.'.join(map(str, newest))})"
        yield known if model.pulsar2 else f"  engine  {engine:16}not known: the file names no Pulsar2"


def _toolchain(image: str, environment: Mapping[str, str]) -> Iterator[Check]:
    named = environment.get("KWS_CONTAINER")
    engines, as_caller = [named] if named else ["docker", "podman", NATIVE], runs_as_caller(environment)
    ways = {engine: look_up(engine, image, as_caller) for engine in engines}
    works = next((way for way in ways.values() if isinstance(way, Toolchain)), None)
    for engine, way in ways.items():
        if isinstance(way, str):
            hint = "" if works else "; see docs/pulsar2.md"
            yield Check(engine, False, way + hint, needed=works is None and engine == next(iter(ways)))
        elif way.native:
            yield Check(engine, True, shutil.which("pulsar2") or "pulsar2")
        else:
            yield Check(engine, True, f"{image} is {way.image_id.removeprefix('sha256:')[:12]}")
            if way is works:
                wrong = way.try_folders(Path.cwd())
                yield Check(
                    "folders", wrong is None, wrong or f"{engine} reads and writes folders of a job here"
                )


def _board(link: Link, target: Ax630c | Ax650n) -> Iterator[Check]:
    with connect(link) as session:
        found = probe(session)
    tool = found.tool or "no ax_run_model on PATH, in /opt/bin or /usr/bin; install the BSP's tools"
    yield Check("ax_run_model", bool(found.tool), tool)
    fits = not found.chip or any(name in found.chip.upper() for name in CHIPS[target.hardware])
    wanted = " or ".join(CHIPS[target.hardware])
    yield Check("chip", fits, (found.chip or "unknown") + ("" if fits else f", expected {wanted}"))
    engine = found.engine or "version unknown: the board's python3 finds no libax_engine.so"
    yield Check("engine", bool(found.engine), engine, needed=False)
    if found.cmm_kb is not None:
        held = f"; StackFlow runs ({found.services}): stop it while measuring, systemctl stop 'llm-*'"
        free = f"{found.cmm_kb // 1024} MB free" + (held if found.services else "")
        yield Check("NPU memory", not found.services, free, needed=False)
    enough = found.free_kb >= 50_000
    yield Check("board's disk", enough, f"{found.free_kb // 1024} MB free in {found.place}", needed=False)
