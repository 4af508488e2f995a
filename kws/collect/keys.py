"""Single keys of a terminal, read without waiting for one."""

import sys
from types import TracebackType

ENTER = "\n"
"""Whatever a terminal sends for it."""

if sys.platform == "win32":
    import msvcrt

    class Keys:
        """The keys of a console; use it in a `with` statement."""

        def pressed(self) -> str | None:
            """Return the key pressed since the last call, a letter in lower case, or None."""
            if not msvcrt.kbhit():
                return None
            key = msvcrt.getwch()
            if key in "\0\xe0":  # an arrow or a function key, which comes in two parts
                msvcrt.getwch()
                return None
            if key == "\x03":
                raise KeyboardInterrupt
            return ENTER if key == "\r" else key.lower()

        def forget(self) -> None:
            """Pass over what was pressed so far."""
            while msvcrt.kbhit():
                msvcrt.getwch()

        def __enter__(self) -> "Keys":
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            """A console needs no setting back."""
else:
    import os
    import select
    import termios
    import tty

    class Keys:
        """The keys of a terminal, which gives them one by one until the end of a `with` statement."""

        def __init__(self) -> None:
            """Read those of the standard input."""
            self._file = sys.stdin.fileno()

        def pressed(self) -> str | None:
            """Return the key pressed since the last call, a letter in lower case, or None.

            A terminal that has gone away presses q.
            """
            if not select.select([self._file], [], [], 0)[0]:
                return None
            first = os.read(self._file, 1)
            if not first:
                return "q"
            if first >= b"\x80" or first == b"\x1b":  # a letter of several bytes, an arrow, a function key
                self.forget()
                return None
            return ENTER if first == b"\r" else first.decode().lower()

        def forget(self) -> None:
            """Pass over what was pressed so far."""
            termios.tcflush(self._file, termios.TCIFLUSH)

        def __enter__(self) -> "Keys":
            self._before = termios.tcgetattr(self._file)
            tty.setcbreak(self._file)
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)
