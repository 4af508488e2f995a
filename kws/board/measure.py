"""A compiled model on a board: how fast it answers, and what it answers to the held-out inputs."""

import io
import shlex
import tarfile
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kws.board.ax_run_model import Report, explain, parse
from kws.board.inputs import check_list, folders, read_outputs
from kws.board.ssh import Link, Session, connect
from kws.common.errors import UserError
from kws.common.programs import MIB, Finished, last_line, plain
from kws.common.types import Logits
from kws.params.sections import Ax630c, Ax650n
from kws.targets.axmodel import CHIPS, read_axmodel, too_new, wrong_chip

_SPARE_KB = 4096
_SHORT_S, _PER_CALL_S, _PER_INPUT_S = 60.0, 0.1, 2.0
_ENGINE = """
import ctypes
for name in "libax_engine.so", "/soc/lib/libax_engine.so", "/opt/lib/libax_engine.so":
    try:
        ask = ctypes.CDLL(name).AX_ENGINE_GetVersion
        ask.restype = ctypes.c_char_p
        print(ask().decode())
        break
    except Exception:
        pass
"""
"""Asks the engine's library itself, by the documented function that needs no model and starts nothing."""
PROBE = f"""
for p in "$(command -v ax_run_model)" /opt/bin/ax_run_model /usr/bin/ax_run_model; do
  if [ -x "$p" ]; then echo "tool=$p"; break; fi
done
echo "engine=$(python3 -c {shlex.quote(_ENGINE)} 2>/dev/null | head -n 1)"
echo "chip=$(cat /proc/ax_proc/chip_type 2>/dev/null | tr -d '\\000' | head -n 1)"
echo "place=${{TMPDIR:-/tmp}}"
echo "free_kb=$(df -Pk "${{TMPDIR:-/tmp}}" | awk 'NR==2 {{print $4}}')"
echo "limit=$(command -v timeout)"
echo "cmm_kb=$(cat /proc/ax_proc/mem_cmm_info 2>/dev/null |
  sed -n 's/.*remain=\\([0-9]*\\)KB.*/\\1/p' | tail -n 1)"
echo "services=$(cat /proc/[0-9]*/comm 2>/dev/null | grep '^llm[-_]' | sort -u | tr '\\n' ' ')"
"""
"""What a board's shell is asked, one `key=value` a line; `read_probe` reads it."""


@dataclass(frozen=True)
class Probe:
    """What a board says of itself; an empty string where it does not."""

    tool: str
    chip: str
    place: str
    """Where its temporary files go."""
    free_kb: int
    limit: str
    """Its `timeout` program, with which nothing outlives a lost connection for long."""
    engine: str = ""
    """Version of the library that loads models."""
    cmm_kb: int | None = None
    """Free memory of the NPU, by the kernel module's own table; None where there is none."""
    services: str = ""
    """Programs of M5Stack's StackFlow that run, which may hold that memory."""


@dataclass(frozen=True)
class Measured:
    """What a board did."""

    latency: Report
    logits: Logits
    chip: str
    listed: int
    """How many of the outputs one call with a list gave; the others took a call each."""


def probe(session: Session) -> Probe:
    """Ask a board for its tool, chip and free space; raise UserError where it answers nothing of use."""
    return read_probe(session.run(PROBE, _SHORT_S).out)


def read_probe(out: bytes) -> Probe:
    """Return what PROBE printed; an empty string or 0 for what is missing or makes no sense."""
    lines = [line.partition("=") for line in plain(out).split("\n")]
    said = {key: value.strip()[:200] for key, _, value in lines if value}
    free_kb, cmm_kb = (
        int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
        for text in (said.get("free_kb", ""), said.get("cmm_kb", ""))
    )
    tool, chip, place, limit = (said.get(key, "") for key in ("tool", "chip", "place", "limit"))
    engine, services = said.get("engine", ""), said.get("services", "")
    return Probe(tool, chip, place, free_kb or 0, limit, engine, cmm_kb, services)


def check(found: Probe, target: Ax630c | Ax650n, needed_kb: int, source: str) -> None:
    """Raise UserError where a board lacks the tool or the space, or is another chip than the target's."""
    if not found.tool:
        raise UserError(
            f"{source}: the board has no ax_run_model; install its BSP's tools, or is it the board?"
        )
    if found.chip and not any(name in found.chip.upper() for name in CHIPS[target.hardware]):
        raise UserError(
            f"{source}: the board's chip is {found.chip}, expected {' or '.join(CHIPS[target.hardware])}"
        )
    if found.free_kb < needed_kb:
        raise UserError(
            f"{source}: {found.place} on the board has {found.free_kb} kB free, needed are {needed_kb}; "
            "make room"
        )


def measure(link: Link, axmodel: Path, inputs: Path, n_labels: int, target: Ax630c | Ax650n) -> Measured:
    """Time the model on its own, then run all of `inputs` (input/, list.txt), on the board.

    A model for another chip, or of a Pulsar2 too new for the board's engine, is not copied there. Everything
    happens in a folder of its own below the board's temporary folder, which is removed. Raises UserError with
    one line for whatever goes wrong.
    """
    check_list(inputs / "list.txt")
    wanted, model = folders(inputs / "list.txt"), read_axmodel(axmodel)
    if wrong := wrong_chip(model, target.hardware):
        raise UserError(f"{axmodel} {wrong}; compile it for this target")
    with connect(link) as session, tempfile.TemporaryDirectory() as here:
        found = probe(session)
        package = Path(here) / "package.tar"
        needed_kb = _pack(package, axmodel, inputs) // 512 + 8 * len(wanted) + _SPARE_KB
        check(found, target, needed_kb, link.source)
        if newer := too_new(model, found.engine):
            raise UserError(f"{axmodel} {newer}")
        name = f"kws.{uuid4().hex}"
        there = f'd="${{TMPDIR:-/tmp}}/{name}"\n'
        try:
            script = f'{there}mkdir -p -m 700 "$d" && cd "$d" && tar -xf -'
            _expect(session.run(script, _SHORT_S, stdin=package), link, "cannot take the files")
            short = found.cmm_kb is not None and found.cmm_kb < axmodel.stat().st_size // 1024
            return _measure(session, there, found, wanted, n_labels, target, short)
        finally:
            _clean(session, there, name)


def _measure(
    session: Session,
    there: str,
    found: Probe,
    wanted: list[str],
    n_labels: int,
    target: Ax630c | Ax650n,
    short_of_memory: bool,
) -> Measured:
    source = session.link.source

    def call(arguments: str, timeout_s: float, *, loaded: bool = False) -> Report:
        limit = f"{shlex.quote(found.limit)} {timeout_s:.0f} " if found.limit else ""
        tool = f"{limit}{shlex.quote(found.tool)} -m kws.axmodel {arguments} 2>&1"
        done = session.run(f'{there}cd "$d" && {tool}', timeout_s + 15)
        report = parse(done.out)
        if wrong := fault(report, done, loaded=loaded, short_of_memory=short_of_memory):
            raise UserError(f"{source}: {wrong}")
        return report

    n = target.warmup + target.repeat
    latency = call(f"-w {target.warmup} -r {target.repeat}", _SHORT_S + _PER_CALL_S * n)
    check_times(latency, source)
    many_s = _SHORT_S + _PER_INPUT_S * len(wanted)
    listing = call("-i input -o output -l list.txt", many_s, loaded=True)
    outputs = _fetch(session, there, wanted, n_labels)
    listed = len(outputs)
    if listed < len(wanted):
        warnings.warn(
            f"{source}: one call with the list gave {listed} of {len(wanted)} outputs "
            f"({listing.skipped} skipped); running the others one by one",
            stacklevel=3,
        )
        failed = _one_by_one(session, there, found, [i for i in wanted if i not in outputs], many_s)
        outputs = _fetch(session, there, wanted, n_labels)
        if failed and len(outputs) < len(wanted):
            cause = _usual(explain(parse(failed.out), failed.code, loaded=True))
            raise UserError(
                f"{source}: ax_run_model with a single input {failed.how()}: {last_line(failed.out)}{cause}"
            )
    return Measured(latency, read_outputs(outputs, wanted, n_labels, source), found.chip, listed)


def fault(
    report: Report, done: Finished, *, loaded: bool = False, short_of_memory: bool = False
) -> str | None:
    """Return how a run of the tool failed and the usual cause, in a line, or None where it did not fail."""
    if not done.code and not (report.errors and not report.found):
        return None
    said = report.errors[0] if report.errors else last_line(done.out)
    advice = explain(report, done.code, loaded=loaded, short_of_memory=short_of_memory)
    return f"ax_run_model {done.how()}: {said}" + _usual(advice)


def _one_by_one(
    session: Session, there: str, found: Probe, missing: list[str], timeout_s: float
) -> Finished | None:
    """Run a call for each input; return how the first that failed did, and what it printed."""
    tool = f"{shlex.quote(found.tool)} -m kws.axmodel -i input -o output -l one.txt >said 2>&1 </dev/null"
    keep = "{ r=$?; [ -e failed ] || { tail -c 65536 said; echo; echo $r; } > failed; }"
    loop = f'for i in {" ".join(missing)}; do printf "%s\\n" "$i" > one.txt; {tool} || {keep}; done'
    script = f'{there}cd "$d" && rm -f failed && {{ {loop}; if [ -e failed ]; then cat failed; fi; }}'
    done = session.run(script, timeout_s)
    _expect(done, session.link, "cannot run single inputs")
    said, _, code = done.out.rstrip().rpartition(b"\n")
    return Finished(int(code), said, b"") if code.isdigit() else None


def _usual(cause: str | None) -> str:
    return f"; the usual cause: {cause}" if cause else ""


def check_times(report: Report, source: str) -> None:
    """Raise UserError where a run of the tool printed no times, or ones that cannot be."""
    times = report.latency_ms
    if not {"min", "mean", "max"} <= times.keys():
        raise UserError(f"{source}: ax_run_model printed no times; run it by hand to see what it says")
    if not times["min"] <= times["mean"] <= times["max"]:
        raise UserError(f"{source}: ax_run_model's times contradict each other: {times}")


def _fetch(session: Session, there: str, wanted: list[str], n_labels: int) -> dict[str, bytes]:
    """Return the outputs that are there, by input. Their archive is read in memory and never unpacked."""
    limit = len(wanted) * (4 * n_labels + 4096) + MIB
    script = f'{there}cd "$d" && if [ -d output ]; then tar -cf - output; fi'
    done = session.run(script, _SHORT_S, limit=limit)
    _expect(done, session.link, "cannot send its outputs")
    return read_archive(done.out, wanted, session.link.source) if done.out else {}


def read_archive(content: bytes, wanted: list[str], source: str) -> dict[str, bytes]:
    """Return the `output/<i>/output.bin` of a foreign tar archive that are wanted, by i; ignore all else."""
    names = {f"output/{index}/output.bin": index for index in wanted}
    found = read_members(content, f"{source}: the board's outputs")
    return {names[name]: value for name, value in found.items() if name in names}


def read_members(content: bytes, what: str) -> dict[str, bytes]:
    """Return the plain files of a foreign tar archive that are shorter than a MiB, by name; ignore all else.

    Nothing is unpacked. Raises UserError, beginning with `what`, where it cannot be read.
    """
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for member in tar:
                if member.isreg() and not member.issparse() and member.size < MIB:
                    file = tar.extractfile(member)
                    found[member.name] = file.read() if file else b""
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError, OSError) as error:
        raise UserError(f"{what} cannot be read as a tar archive ({error})") from error
    return found


def _clean(session: Session, there: str, name: str) -> None:
    try:
        session.run(f'{there}rm -rf -- "$d"', _SHORT_S)
    except UserError as error:
        warnings.warn(f"{error}; {name} stays in the board's temporary folder", stacklevel=3)


def _expect(done: Finished, link: Link, problem: str) -> None:
    if not done.ok:
        raise UserError(f"{link.source}: the board {problem}: {last_line(done.err or done.out)}")


def _pack(path: Path, axmodel: Path, inputs: Path) -> int:
    """Write the archive that goes to the board and return its length in bytes."""

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(axmodel, "kws.axmodel", filter=anonymous)
        tar.add(inputs / "input", "input", filter=anonymous)
        tar.add(inputs / "list.txt", "list.txt", filter=anonymous)
    return path.stat().st_size
