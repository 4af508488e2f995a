"""`docker`: knows one image, maps mounts, and refuses what a container could not see or write."""

import csv
import os
import signal
import sys
from pathlib import Path, PurePosixPath

import pulsar2
from state import STATE, mode, note

IMAGE = "sha256:" + "0123456789abcdef" * 4
FLAGS = {"--name", "--user", "--env", "--mount", "--volume", "--workdir", "--entrypoint"}


def main(arguments: list[str]) -> None:
    note(docker=arguments)
    match arguments:
        case ["version", *_]:
            if mode() == "no_daemon":
                sys.exit("Cannot connect to the Docker daemon. Is the docker daemon running?")
            print("28.0.0")
        case ["image", "inspect", "--format", "{{.Id}}", name]:
            if name not in ("pulsar2:4.2", IMAGE) or mode() == "no_image":
                sys.exit(f"Error: No such image: {name}")
            print(IMAGE)
        case ["rm", "--force", name]:
            container = STATE / f"{name}.pid"
            if container.exists():
                os.kill(int(container.read_text()), signal.SIGKILL)
                container.unlink()
        case ["run", *rest]:
            run(rest)
        case _:
            sys.exit(f"docker: unknown command {arguments}")


def run(rest: list[str]) -> None:
    options: dict[str, list[str]] = {}
    while rest[0].startswith("-"):
        flag, _, value = rest.pop(0).partition("=")
        options.setdefault(flag, []).append(value if value or flag not in FLAGS else rest.pop(0))
    image, *command = rest
    assert options["--network"] == ["none"]
    assert options["--pull"] == ["never"]
    assert image == IMAGE
    mounts = {}
    for mount in options.get("--mount", ()):
        (fields,) = csv.reader([mount])
        pairs = dict(field.split("=") for field in fields if "=" in field)
        assert Path(pairs["source"]).is_dir(), f"bind source path does not exist: {pairs['source']}"
        mounts[PurePosixPath(pairs["target"])] = (Path(pairs["source"]), "readonly" in fields)
    for volume in options.get("--volume", ()):
        source, target, how = volume.split(":")
        assert "z" in how.split(",")
        mounts[PurePosixPath(target)] = (Path(source), "ro" in how.split(","))

    def locate(path: str) -> tuple[Path, bool]:
        for target, (source, read_only) in mounts.items():
            if PurePosixPath(path).is_relative_to(target):
                return source / PurePosixPath(path).relative_to(target), read_only
        raise FileNotFoundError(f"{path}: not in the container")

    if options.get("--entrypoint") == ["chown"]:
        return
    if options.get("--entrypoint") == ["cp"]:
        copy(*map(locate, command))
        return
    if command[0] != "pulsar2":
        print(f'exec: "{command[0]}": executable file not found in $PATH')
        sys.exit(127)
    if mode() == "docker_error":
        print("docker: Error response from daemon: no space left on device.")
        sys.exit(125)
    name = options["--name"][0]
    child = os.fork()
    if child == 0:
        os.setsid()
        pulsar2.main(command[1:], lambda p: locate(p)[0], lambda p: not locate(p)[1])
        sys.exit(0)
    (STATE / f"{name}.pid").write_text(str(child))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    (STATE / f"{name}.pid").unlink(missing_ok=True)
    sys.exit(status if status >= 0 else 128 - status)


def copy(source: tuple[Path, bool], target: tuple[Path, bool]) -> None:
    """Copy a file between two mounts, or fail as a container does whose user, machine or owner is another."""
    assert not target[1], "read-only"
    match mode():
        case "denied":
            sys.exit("cp: cannot create regular file '/data/out/copy': Permission denied")
        case "no_mount":
            print(
                "docker: Error response from daemon: mounts denied: the path is not shared.", file=sys.stderr
            )
            sys.exit(125)
        case "elsewhere":
            return
    target[0].write_bytes(source[0].read_bytes())
    if mode() == "other_owner":
        os.chown(target[0], 12345, 12345)


if __name__ == "__main__":
    main(sys.argv[1:])
