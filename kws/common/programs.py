"""Other programs: run with a limit on time and on what they print, and nothing that they print is trusted."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Literal

from kws.common.errors import UserError
from kws.common.files import naming
from kws.common.terminal import plain as plain_text

MIB = 2**20
LINE = 300
"""Characters of a foreign line that are shown in a message."""
LOG_LINE = 64 * 1024
"""Bytes of a foreign line that are kept in a log; no program means more to be read."""
_GRACE_S = 2.0
"""What a program may take to end when told to, or its children to close its pipes when it has ended."""


@dataclass(frozen=True)
class Finished:
    """What a program printed, and how it ended."""

    code: int
    out: bytes
    err: bytes
    ended: Literal["exit", "timeout", "flood"] = "exit"
    """By itself, stopped at the time limit, or stopped because it printed more than its limit."""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return self.ended == "exit" and self.code == 0

    def how(self) -> str:
        """Return how it ended, in words that fit into a message."""
        reasons = {"timeout": "did not end in time and was stopped", "flood": "printed without end"}
        return reasons.get(self.ended, f"ended with exit status {self.code}")


def plain(raw: bytes) -> str:
    """Return foreign bytes as text that is safe in a terminal, a log or a message; lines stay lines."""
    return plain_text(raw.decode("utf-8", "replace"), keep="\n\t")


def last_line(raw: bytes) -> str:
    """Return the last line with anything on it, made safe and cut to a message's length."""
    lines = [
        line.strip() for line in plain(raw[-64 * 1024 :].replace(b"\r\n", b"\n")).split("\n") if line.strip()
    ]
    return lines[-1][:LINE] if lines else "it printed nothing"


def run(
    command: Sequence[str],
    timeout_s: float,
    *,
    stdin: Path | None = None,
    limit: int = MIB,
    log: Path | None = None,
    show: Callable[[str], None] | None = None,
) -> Finished:
    """Run a program without a terminal and return what it printed, never waiting longer than `timeout_s`.

    `limit` is in bytes for each of its two streams. With a `log`, both streams become one, written to that
    file line by line as `plain` text while the program runs; `show` is called with each of these lines.
    Raises UserError where the program cannot be started.
    """
    with ExitStack() as stack:
        source = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
        target = None
        if log:
            stack.enter_context(naming(log))
            target = stack.enter_context(log.open("w", encoding="utf-8", newline="\n"))
        try:
            process = subprocess.Popen(
                command,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if log else subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(f"{command[0]}: cannot be started ({error.strerror or error})") from error
        lines = _Lines(target, show)
        with process:
            try:
                return _collect(process, time.monotonic() + timeout_s, limit, lines)
            finally:
                _stop(process)
                lines.end()


class _Lines:
    """Cuts chunks into lines at line feeds and carriage returns, and hands each on as plain text.

    Empty lines are left out, and what a line has beyond LOG_LINE.
    """

    def __init__(self, target: IO[str] | None, show: Callable[[str], None] | None) -> None:
        self.target, self.show = target, show
        self.line, self.beyond = bytearray(), 0

    def add(self, chunk: bytes) -> None:
        if self.target is None:
            return
        *ended, rest = re.split(rb"[\r\n]+", chunk)
        for part in ended:
            self._append(part)
            self.end()
        self._append(rest)
        self.target.flush()

    def _append(self, part: bytes) -> None:
        room = LOG_LINE - len(self.line)
        self.line += part[:room]
        self.beyond += max(0, len(part) - room)

    def end(self) -> None:
        """Hand on the line so far, if there is anything in it."""
        if self.target is None or not self.line:
            return
        text = plain(bytes(self.line)) + (f" ... and {self.beyond} bytes more" if self.beyond else "")
        self.line, self.beyond = bytearray(), 0
        self.target.write(text + "\n")
        if self.show is not None:
            self.show(text)


def _collect(process: subprocess.Popen[bytes], deadline: float, limit: int, lines: _Lines) -> Finished:
    chunks: SimpleQueue[tuple[int, bytes | None]] = SimpleQueue()

    def drain(index: int, stream: IO[bytes]) -> None:
        left = limit
        with suppress(OSError, ValueError):  # closed, because the program was given up
            while left > 0 and (chunk := os.read(stream.fileno(), min(left, 65536))):
                left -= len(chunk)
                chunks.put((index, chunk))
        chunks.put((index, b"" if left > 0 else None))

    printed: tuple[list[bytes], list[bytes]] = ([], [])
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    for index, stream in enumerate(streams):
        threading.Thread(target=drain, args=(index, stream), daemon=True).start()
    ended: Literal["exit", "timeout", "flood"] = "exit"
    remaining, closing = len(streams), None
    while remaining:
        now = time.monotonic()
        if now >= deadline:
            ended = "timeout"
            break
        if closing is None and process.poll() is not None:
            closing = now + _GRACE_S
        if closing is not None and now >= closing:
            break  # a child that lives on holds the pipes
        try:
            index, chunk = chunks.get(timeout=min(deadline - now, 0.1 if closing is None else 0.02))
        except Empty:
            continue
        if chunk is None:
            ended = "flood"
            break
        if chunk:
            printed[index].append(chunk)
            lines.add(chunk)
        else:
            remaining -= 1
    if ended == "exit" and process.poll() is None:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            ended = "timeout"
    _stop(process)
    return Finished(process.returncode, b"".join(printed[0]), b"".join(printed[1]), ended)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and the children in its session, kindly first."""
    for kill in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            if os.name == "nt":
                process.kill()
            else:
                os.killpg(process.pid, kill)
            process.wait(_GRACE_S)
