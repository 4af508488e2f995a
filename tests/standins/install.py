"""Puts the stand-ins where the code under test looks for the real things."""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CMM = "total size=1048576KB(1024MB),used=22416KB(21MB + 912KB),remain=1026160KB(1002MB + 112KB)\n"
"""The last line of a board's table of the NPU's memory."""
SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class Standins:
    """A folder for PATH, and one through which a test talks to the stand-ins."""

    bin: Path
    state: Path

    def go_wrong(self, mode: str) -> None:
        """Choose what goes wrong from now on; an empty string for nothing."""
        (self.state / "mode").write_text(mode)

    def calls(self, program: str) -> list[list[str]]:
        """The argument lists with which a stand-in was called."""
        path = self.state / "calls.jsonl"
        lines = path.read_text().splitlines() if path.is_file() else []
        return [call[program] for call in map(json.loads, lines) if program in call]


def install(folder: Path, *programs: str) -> Standins:
    """Write programs that start the stand-ins of these names."""
    found = Standins(folder / "bin", folder / "state")
    found.bin.mkdir(parents=True, exist_ok=True)
    found.state.mkdir(exist_ok=True)
    for name in programs:
        script(found.bin / name, f'exec {sys.executable} {HERE}/{name}.py "$@"')
    return found


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@dataclass(frozen=True)
class Board:
    """An sshd on this machine, with a board's programs."""

    standins: Standins
    config: Path
    temporary: Path
    """Where the board's temporary files go."""
    process: subprocess.Popen


@contextmanager
def serve(folder: Path, chip: str = "AX630C_CHIP") -> Iterator[Board]:
    """Run an sshd with its own keys, known to the ssh configuration under several names."""
    standins = install(folder, "ax_run_model")
    temporary = folder / "tmp"
    temporary.mkdir()
    script(
        standins.bin / "cat",
        f'[ "$1" = /proc/ax_proc/chip_type ] && exec /bin/cat {folder}/chip\n'
        f'[ "$1" = /proc/ax_proc/mem_cmm_info ] && exec /bin/cat {folder}/cmm\nexec /bin/cat "$@"',
    )
    (folder / "cmm").write_text(CMM)
    (folder / "chip").write_text(chip)
    for name in ("host", "user", "other"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {name: f"[127.0.0.1]:{port} {(folder / f'{name}.pub').read_text()}" for name in ("host", "other")}
    for name, line in known.items():
        (folder / f"known_{name}").write_text(line)
    (folder / "empty").write_text("")
    library = f"LD_LIBRARY_PATH={folder}/lib"
    (folder / "sshd_config").write_text(f"""\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
SetEnv PATH={standins.bin}:/usr/bin:/bin TMPDIR={temporary} KWS_STANDIN_STATE={standins.state} {library}
""")
    config = folder / "ssh_config"
    hosts = {"board ax630c": ("user", "host"), "unknown": ("user", "empty"), "changed": ("user", "other")}
    hosts["keyless"] = ("other", "host")
    config.write_text(
        "".join(
            f"Host {names}\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
            f"  IdentityFile {folder}/{key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {folder}/{known if known == 'empty' else 'known_' + known}\n"
            for names, (key, known) in hosts.items()
        )
        + "Host *\n  GlobalKnownHostsFile none\n  IdentityAgent none\n"
    )
    config.chmod(0o600)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    log = (folder / "sshd.log").open("w")
    process = subprocess.Popen(
        [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")],
        stderr=log,
        stdin=subprocess.DEVNULL,
    )
    log.close()
    try:
        wait_for(port, process, folder / "sshd.log")
        yield Board(standins, config, temporary, process)
    finally:
        process.terminate()
        process.wait()
        stopped = standins.state / "stopped"
        for pid in stopped.read_text().split() if stopped.is_file() else ():
            with suppress(FileNotFoundError, ProcessLookupError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"sshd" in command or b"ax_run_model" in command:
                    os.kill(int(pid), signal.SIGKILL)


def wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("sshd does not listen")
