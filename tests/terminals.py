"""A terminal of a test's own: keys are pressed in it, and what a person sees there is read."""

import codecs
import os
import re
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from conftest import ROOT

ORDERS = re.compile(r"\x1b\[([0-9;?]*[A-Za-z])|([^\x1b])|\x1b[^A-Za-z]*$")
"""An order, a character, or an order that was cut off."""


class Seen:
    """The lines of a terminal: as much of one as rich makes use of."""

    def __init__(self) -> None:
        """Begin with an empty one."""
        self.lines, self._row, self._column, self._rest = [""], 0, 0, ""

    def feed(self, output: str) -> None:
        """Take what a program wrote, cut wherever it may be."""
        text, done = self._rest + output, 0
        for match in ORDERS.finditer(text):
            if not (match[1] or match[2]):
                break
            self._do(match[1] or "", match[2])
            done = match.end()
        self._rest = text[done:]

    def _do(self, order: str, character: str | None) -> None:
        lines, row = self.lines, self._row
        if order.endswith("A"):
            self._row = max(0, row - int(order[:-1] or 1))
        elif order == "2K":
            lines[row] = ""
        elif character == "\r":
            self._column = 0
        elif character == "\n":
            self._row += 1
            lines += [""] * (self._row + 1 - len(lines))
        elif character:
            before, after = lines[row][: self._column], lines[row][self._column + 1 :]
            lines[row] = before.ljust(self._column) + character + after
            self._column += 1


class Terminal:
    """A program on a terminal of its own; it is killed at the end of a `with` statement."""

    def __init__(
        self,
        command: list[object],
        environment: dict[str, str] | None = None,
        folder: Path = ROOT,
        rows: int = 40,
        columns: int = 100,
    ) -> None:
        """Start the program in a folder."""
        import fcntl
        import pty
        import struct
        import termios

        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._settings, self._before = termios.tcgetattr, termios.tcgetattr(self._slave)
        variables = (environment or dict(os.environ)) | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            variables.pop(name, None)
        ends = {"stdin": self._slave, "stdout": self._slave, "stderr": self._slave}
        words = [str(word) for word in command]
        self.process = subprocess.Popen(
            words,
            **ends,
            env=variables,
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl-C pressed here is a signal there
        )
        self._seen = Seen()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        with suppress(OSError):  # the terminal is gone with its last program
            while chunk := os.read(self._master, 65536):
                self._seen.feed(decoder.decode(chunk))

    @property
    def lines(self) -> list[str]:
        """What a person sees now."""
        return list(self._seen.lines)

    @property
    def text(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines)

    @property
    def words(self) -> str:
        """The same without frames and ends of lines, which may divide a sentence."""
        return " ".join(re.sub("[╭╮╰╯│─]", " ", self.text).split())

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """Wait until a text is seen, and return all that is."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            ended = self.process.poll() is not None
            assert not ended or text in self.end(), f"ended without {text!r}:\n{self.text}"
            assert time.monotonic() < deadline, f"no {text!r} in {seconds:g} s:\n{self.text}"
            time.sleep(0.02)
        return self.text

    def end(self, seconds: float = 60) -> str:
        """Wait until the program has ended and left its terminal as it was; return all that is seen."""
        self.process.wait(seconds)
        if self._slave is not None:
            assert self._settings(self._slave) == self._before, "the terminal was not given back as it was"
            os.close(self._slave)
            self._slave = None
            self._reader.join(10)
        return self.text

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._slave is not None:
            os.close(self._slave)
        self._reader.join(10)
        os.close(self._master)
