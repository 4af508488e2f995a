"""Pulsar2 itself: in a container, or installed as a program."""

import csv
import io
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kws.common.errors import UserError
from kws.common.programs import MIB, Finished, last_line, run

NATIVE = "native"
ROOT = "/data"
"""Where a container sees the job's folder."""
_LOG_LIMIT = 64 * MIB
_ASK_S = 60.0


@dataclass(frozen=True)
class Toolchain:
    """A way to run Pulsar2: `engine` is a container program such as docker, or `native`."""

    engine: str
    image: str = ""
    image_id: str = ""
    """What the image's name stood for when it was looked up; this, not the name, is run."""
    as_caller: bool = True
    """Whether the container runs as the calling user; otherwise as the image's, and hands its files back."""

    @property
    def native(self) -> bool:
        """Whether Pulsar2 runs outside a container."""
        return self.engine == NATIVE

    def root(self, job: Path) -> str:
        """Return the job's folder as Pulsar2 sees it."""
        return str(job.resolve()) if self.native else ROOT

    def version(self, job: Path) -> str:
        """Return `Pulsar2 <version> <commit>`, or raise UserError where it gives none."""
        done = self.run(job, ["version"], _ASK_S)
        found = dict(re.findall(rb"^\s*(version|commit):\s*(\S{1,40})\s*$", done.out, re.MULTILINE))
        if not done.ok or b"version" not in found:
            raise UserError(f"`pulsar2 version` {done.how()}: {last_line(done.err or done.out)}")
        parts = [found[key].decode("ascii", "replace") for key in (b"version", b"commit") if key in found]
        return " ".join(["Pulsar2", *parts])

    def run(
        self,
        job: Path,
        arguments: list[str],
        timeout_s: float,
        log: Path | None = None,
        show: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run `pulsar2` on a job: a folder with `in`, which it may read, and `out`, which it may write.

        A container has no network, sees nothing else, and is removed whatever happens.
        """
        for part in ("in", "out"):
            (job / part).mkdir(parents=True, exist_ok=True)
        if self.native:
            return run(["pulsar2", *arguments], timeout_s, limit=_LOG_LIMIT, log=log, show=show)
        name = f"kws-{uuid4().hex}"
        try:
            command = self.command(job, name, ["pulsar2", *arguments])
            return run(command, timeout_s, limit=_LOG_LIMIT, log=log, show=show)
        finally:
            run([self.engine, "rm", "--force", name], _ASK_S)
            if not self.as_caller:
                self._hand_back(job)

    def command(self, job: Path, name: str, arguments: list[str], entrypoint: str = "") -> list[str]:
        """Return the container program's arguments; an `entrypoint` replaces the image's, run as its user."""
        user: list[str] = []
        if self.as_caller and not entrypoint and hasattr(os, "getuid"):
            keep = ["--userns=keep-id"] if _is_podman(self.engine) and os.getuid() else []
            user = [*keep, "--user", f"{os.getuid()}:{os.getgid()}"]
        return [
            *(self.engine, "run", "--rm", "--init", "--pull=never", "--network=none", "--name", name),
            "--security-opt=no-new-privileges",
            *user,
            *("--env", f"HOME={ROOT}/out/tmp", "--env", f"TMPDIR={ROOT}/out/tmp"),
            # a uid without a passwd entry has no name: Python's getpass and torch ask these two first
            *("--env", "USER=kws", "--env", "LOGNAME=kws"),
            *("--mount", _mount(job / "in", f"{ROOT}/in", read_only=True)),
            *("--mount", _mount(job / "out", f"{ROOT}/out", read_only=False)),
            *("--workdir", f"{ROOT}/out"),
            *(("--entrypoint", entrypoint) if entrypoint else ()),
            self.image_id,
            *arguments,
        ]

    def _hand_back(self, job: Path) -> None:
        if hasattr(os, "getuid"):
            owner = ["-R", f"{os.getuid()}:{os.getgid()}", f"{ROOT}/out"]
            done = run(self.command(job, f"kws-{uuid4().hex}", owner, entrypoint="chown"), _ASK_S)
            if not done.ok:
                raise UserError(
                    f"{job / 'out'}: the container's files could not be handed to you "
                    f"({last_line(done.err)}); remove them with sudo and unset KWS_CONTAINER_USER"
                )


def find_toolchain(image: str, environment: Mapping[str, str] = os.environ) -> Toolchain:
    """Return the first that works of docker, podman and an installed pulsar2, or what KWS_CONTAINER names.

    KWS_CONTAINER is a container program or `native`. KWS_CONTAINER_USER=image runs the container as the
    image's own user. Raises UserError that says for each way what is missing.
    """
    user = environment.get("KWS_CONTAINER_USER", "caller")
    if user not in ("caller", "image"):
        raise UserError(f"KWS_CONTAINER_USER: is {user!r}, expected caller or image")
    named = environment.get("KWS_CONTAINER")
    missing = []
    for engine in [named] if named else ["docker", "podman", NATIVE]:
        found = look_up(engine, image, as_caller=user == "caller")
        if isinstance(found, Toolchain):
            return found
        missing.append(found)
    raise UserError("; ".join(missing))


def toolchain_for(name: str, image: str) -> Toolchain:
    """Return a way to run Pulsar2, or raise UserError that says what target `name` is missing."""
    try:
        return find_toolchain(image)
    except UserError as error:
        raise UserError(
            f"target.{name}: needs Pulsar2, but {error}; docs/pulsar2.md says how to get it, "
            f"`kws doctor {name}` what is there; without it, run with -S 'target=[host]'"
        ) from error


def look_up(engine: str, image: str, as_caller: bool = True) -> Toolchain | str:
    """Return this way of running Pulsar2, or what it lacks."""
    program = "pulsar2" if engine == NATIVE else engine
    if shutil.which(program) is None:
        return f"{program} is not on PATH"
    if engine == NATIVE:
        return Toolchain(NATIVE)
    alive = run([engine, "version", "--format", "{{.Server.Version}}"], _ASK_S)
    if not alive.ok and not _is_podman(engine):
        return f"{engine} has no running daemon ({last_line(alive.err)})"
    done = run([engine, "image", "inspect", "--format", "{{.Id}}", image], _ASK_S)
    identity = done.out.decode("ascii", "replace").strip()
    if not done.ok or not re.fullmatch(r"(sha256:)?[0-9a-f]{64}", identity):
        return f"{engine} has no image {image}"
    return Toolchain(engine, image, identity, as_caller)


def _is_podman(engine: str) -> bool:
    return Path(engine).name.startswith("podman")


def _mount(source: Path, target: str, *, read_only: bool) -> str:
    """Return the value of --mount, quoted as the CSV it is."""
    row = io.StringIO()
    fields = ["type=bind", f"source={source.resolve()}", f"target={target}"]
    csv.writer(row, lineterminator="").writerow(fields + ["readonly"] * read_only)
    return row.getvalue()
