"""Pulsar2 itself: in a container, or installed as a program."""

import csv
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kws.common.errors import UserError
from kws.common.programs import MIB, Finished, last_line, plain, run

NATIVE = "native"
ROOT = "/data"
"""Where a container sees the job's folder."""
ENFORCE = Path("/sys/fs/selinux/enforce")
_DENIED = {
    True: "; with a Docker that runs without root set KWS_CONTAINER_USER=image",
    False: "; unset KWS_CONTAINER_USER, so that it runs as you",
}
"""What to do about a container that may not use the folders, by whether it runs as the caller."""
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
        """Return the container program's arguments; an `entrypoint` replaces the image's.

        Raises UserError where SELinux enforces and the job's path holds a colon.
        """
        user: list[str] = []
        if self.as_caller and hasattr(os, "getuid"):
            keep = ["--userns=keep-id"] if _is_podman(self.engine) and os.getuid() else []
            user = [*keep, "--user", f"{os.getuid()}:{os.getgid()}"]
            if os.getuid():
                # a uid without a passwd entry has no name: Python's getpass and torch ask these two first;
                # root and the image's own user have theirs
                user += ["--env", "USER=kws", "--env", "LOGNAME=kws"]
        return [
            *(self.engine, "run", "--rm", "--init", "--pull=never", "--network=none", "--name", name),
            "--security-opt=no-new-privileges",
            *user,
            *("--env", f"HOME={ROOT}/out/tmp", "--env", f"TMPDIR={ROOT}/out/tmp"),
            *_mount(job / "in", f"{ROOT}/in", read_only=True),
            *_mount(job / "out", f"{ROOT}/out", read_only=False),
            *("--workdir", f"{ROOT}/out"),
            *(("--entrypoint", entrypoint) if entrypoint else ()),
            self.image_id,
            *arguments,
        ]

    def try_folders(self, place: Path) -> str | None:
        """Return why a job's folders would not do in a container, or None.

        A container copies a file from one to the other. The job lies below `place` and goes away.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="kws-doctor-", suffix=".partial", dir=place) as folder:
                return self._try_folders(Path(folder))
        except OSError as error:
            return f"{place}: {error.strerror or error}; run this in a folder that you may write to"

    def _try_folders(self, job: Path) -> str | None:
        for part in ("in", "out/tmp"):
            (job / part).mkdir(parents=True)
        content, there = uuid4().hex, job / "out" / "copy"
        (job / "in" / "file").write_text(content, encoding="ascii")
        name = f"kws-{uuid4().hex}"
        try:
            copy = [f"{ROOT}/in/file", f"{ROOT}/out/copy"]
            done = run(self.command(job, name, copy, entrypoint="cp"), _ASK_S)
            if not done.ok:
                denied = "permission denied" in plain(done.err).lower()
                hint = _DENIED[self.as_caller] if denied else ""
                return f"a container {done.how()}: {last_line(done.err or done.out)}{hint}"
            if not self.as_caller:
                self._hand_back(job)
        except UserError as error:
            return str(error)
        finally:
            run([self.engine, "rm", "--force", name], _ASK_S)
        if not there.is_file() or there.read_text(encoding="ascii", errors="replace") != content:
            return (
                "a container wrote a file that is not here: its daemon sees another machine's folders "
                "(see DOCKER_HOST and `docker context ls`), or does not share this one"
            )
        if hasattr(os, "getuid") and there.stat().st_uid != os.getuid():
            return (
                f"a container's files belong to user {there.stat().st_uid}, not to you; "
                "set KWS_CONTAINER_USER=image, which hands them back"
            )
        return None

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
    as_caller = runs_as_caller(environment)
    named = environment.get("KWS_CONTAINER")
    missing = []
    for engine in [named] if named else ["docker", "podman", NATIVE]:
        found = look_up(engine, image, as_caller)
        if isinstance(found, Toolchain):
            return found
        missing.append(found)
    raise UserError("; ".join(missing))


def runs_as_caller(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a container runs as the calling user; raise UserError where that is set to neither."""
    user = environment.get("KWS_CONTAINER_USER", "caller")
    if user not in ("caller", "image"):
        raise UserError(f"KWS_CONTAINER_USER: is {user!r}, expected caller or image")
    return user == "caller"


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


def _enforcing() -> bool:
    """Return whether SELinux keeps containers from files that are not labelled as theirs."""
    try:
        return ENFORCE.read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


def _mount(source: Path, target: str, *, read_only: bool) -> list[str]:
    """Return the option that mounts a folder.

    That is --mount, whose value is quoted as the CSV it is. Where SELinux enforces it is --volume: that
    alone asks every container program to label the folder as a container's (`z`), but it bears no colon.
    """
    if _enforcing():
        if ":" in str(source.resolve()):
            raise UserError(
                f"{source.resolve()}: has a colon, which no container takes on a machine with SELinux; "
                "move the project to a path without"
            )
        return ["--volume", f"{source.resolve()}:{target}:{'ro,' * read_only}z"]
    row = io.StringIO()
    fields = ["type=bind", f"source={source.resolve()}", f"target={target}"]
    csv.writer(row, lineterminator="").writerow(fields + ["readonly"] * read_only)
    return ["--mount", row.getvalue()]
