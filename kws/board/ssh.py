"""A board over the OpenSSH client: host keys checked, no questions asked, one connection, no endless wait."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kws.common.errors import UserError
from kws.common.programs import MIB, Finished, last_line, plain, run

LINK_LOST = 255
"""The exit status with which ssh says that the connection, not the command, has failed."""
_MAPPED = 254
"""What a command's own 255 becomes on its way here, to be told from ssh's."""
_HOST = re.compile(r"(ssh://)?[\w.][\w.@:%\[\]-]*")
_HOPELESS = {
    "host key verification failed": "its host key is not known or has changed; log in once by hand",
    "identification has changed": "its host key has changed; make sure it is your board, then ssh-keygen -R",
    "permission denied": "it refuses your key; put your public key on it with ssh-copy-id",
    "could not resolve": "its name is not known; check it and ~/.ssh/config",
    "bad configuration option": "the ssh configuration is wrong",
    "no such file or directory": "the ssh configuration or key is missing",
    "bad owner or permissions": "the ssh configuration can be written by others; chmod 600 it",
}
"""What ssh says where trying again is no use, in lower case, and what to do about it."""


@dataclass(frozen=True)
class Link:
    """How to reach a board, and when to give it up."""

    host: str
    source: str
    """What named the host: an environment variable, or the ssh configuration."""
    config: Path | None = None
    """Instead of ~/.ssh/config."""
    connect_s: int = 10
    alive_s: int = 5
    """Between signs of life; three missed ones end the connection."""
    attempts: int = 3

    def command(self, *options: str) -> list[str]:
        """Return ssh's argument list up to the host; it never prompts, forwards or trusts a new key."""
        settings = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UpdateHostKeys": "no",
            "ConnectTimeout": self.connect_s,
            "ServerAliveInterval": self.alive_s,
            "ServerAliveCountMax": 3,
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ClearAllForwardings": "yes",
            "PermitLocalCommand": "no",
            "RemoteCommand": "none",
            "RequestTTY": "no",
            "LogLevel": "ERROR",
        }
        pairs = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        file = ["-F", str(self.config)] if self.config else []
        return ["ssh", *file, *pairs, *options, "--", self.host]


def find_link(target: str, environment: Mapping[str, str] = os.environ) -> Link | None:
    """Return the board of a target, or None where nobody named one.

    KWS_BOARD_<TARGET> is `[user@]host`, `ssh://[user@]host:port`, an ssh alias, or `none`. Without it, an ssh
    alias of the target's own name counts. KWS_SSH_CONFIG names a file to be used in place of ~/.ssh/config.
    Raises UserError for a name that cannot be a host's, and where there is no ssh.
    """
    variable = f"KWS_BOARD_{target.upper()}"
    file = environment.get("KWS_SSH_CONFIG")
    config = Path(file) if file else None
    if host := environment.get(variable, ""):
        if host == "none":
            return None
        if not _HOST.fullmatch(host):
            raise UserError(f"{variable}: {host!r} is no host; expected [user@]host, ssh://… or an ssh alias")
        if shutil.which("ssh") is None:
            raise UserError(f"{variable}: names a board, but ssh is not on PATH; install the OpenSSH client")
        return Link(host, variable, config)
    if variable in environment or shutil.which("ssh") is None:
        return None
    asked = run(["ssh", *(["-F", str(config)] if config else []), "-G", "--", target], 10)
    if not asked.ok:
        raise UserError(f"{config or '~/.ssh/config'}: ssh cannot read it ({last_line(asked.err)})")
    real = re.search(rb"^hostname (\S+)$", asked.out, re.MULTILINE)
    alias = real is not None and real[1].decode("utf-8", "replace") != target
    return Link(target, f"the ssh alias {target}", config) if alias else None


class Session:
    """A connection to a board, opened again when it is lost."""

    def __init__(self, link: Link, folder: Path) -> None:
        """Keep the connection's socket in a folder of this session's own."""
        self.link, self.socket = link, folder / "s"
        self.master: subprocess.Popen[bytes] | None = None

    def run(self, script: str, timeout_s: float, *, stdin: Path | None = None, limit: int = MIB) -> Finished:
        """Run a shell script on the board and return what it printed.

        A lost connection is opened again and the script run from its start, so a script must bear that.
        Raises UserError where the board cannot be reached, or the script does not end in time.
        """
        guarded = f"( {script}\n)\nr=$?\n[ $r -eq {LINK_LOST} ] && r={_MAPPED}\nexit $r"
        done = None
        for attempt in range(self.link.attempts):
            if attempt:
                time.sleep(attempt)
            shared = ["-o", "ControlMaster=no", "-o", f"ControlPath={self.socket}"] if self._open() else []
            command = [*self.link.command(*shared), f"sh -c {shlex.quote(guarded)}"]
            done = run(command, timeout_s, stdin=stdin, limit=limit)
            if done.ended != "exit":
                raise UserError(f"{self.link.source}: the board's command {done.how()}; check the board")
            if done.code != LINK_LOST:
                return replace(done, code=LINK_LOST) if done.code == _MAPPED else done
            self.close()
            if reason := _hopeless(done.err):
                raise UserError(f"{self.link.source}: cannot log in to {self.link.host}: {reason}")
            if attempt + 1 < self.link.attempts:
                warnings.warn(f"{self.link.source}: the connection was lost; trying again", stacklevel=2)
        said = last_line(done.err) if done else ""
        raise UserError(
            f"{self.link.source}: no connection to {self.link.host} in {self.link.attempts} attempts "
            f"({said}); check power and network, or unset it to do without the board"
        )

    def close(self) -> None:
        """End the connection."""
        if self.master is not None:
            self.master.terminate()
            try:
                self.master.wait(2)
            except subprocess.TimeoutExpired:
                self.master.kill()
                self.master.wait()
            self.master = None
        self.socket.unlink(missing_ok=True)

    def _open(self) -> bool:
        """Open the shared connection and return whether there is one; else each command has its own."""
        if os.name == "nt":
            return False  # Windows' OpenSSH shares no connections
        if self.master is not None and self.master.poll() is None and self.socket.exists():
            return True
        self.close()
        command = self.link.command("-M", "-N", "-o", "ControlPersist=no", "-o", f"ControlPath={self.socket}")
        self.master = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + self.link.connect_s + 2
        while self.master.poll() is None and time.monotonic() < deadline:
            if self.socket.exists():
                return True
            time.sleep(0.02)
        return False


@contextmanager
def connect(link: Link) -> Iterator[Session]:
    """Yield a session that is closed in the end."""
    with tempfile.TemporaryDirectory(prefix="kws-") as folder:  # 0700, and short: a socket's path is limited
        session = Session(link, Path(folder))
        try:
            yield session
        finally:
            session.close()


def _hopeless(said: bytes) -> str | None:
    lower = plain(said[-8192:]).lower()
    return next((advice for phrase, advice in _HOPELESS.items() if phrase in lower), None)
