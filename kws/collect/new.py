"""A folder of recordings becomes an experiment: its labels and folders, in conf/experiment/."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

from kws.collect.folders import SEEDS, Folders
from kws.common.errors import UserError
from kws.common.files import replacing
from kws.common.programs import run
from kws.params.compose import compose

FIRST = "# @package _global_"
MARK = "# Written by `kws new"
"""So begins the second line of a file that may be written again."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""What Hydra and a shell take as it is."""
GIT_S = 30.0


def experiment_name(folder: Path) -> str:
    """Return what the experiment of a folder is called: a name that no shell and no Hydra reads otherwise."""
    letters = normalize("NFKD", folder.resolve().name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "_", letters).strip("_-") or "my"


def experiment(folders: Folders, folder: Path, project: Path) -> str:
    """Return the text of the experiment; paths in the project are relative to it.

    Raises UserError for a path that Hydra would read otherwise.
    """

    def shown(path: Path) -> str:
        if "${" in str(path):
            raise UserError(f"{path}: Hydra would replace what follows ${{; rename the folder")
        whole = path.resolve()
        inside = whole.is_relative_to(project.resolve())
        return (whole.relative_to(project.resolve()) if inside else whole).as_posix()

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    data = {SEEDS: folders.seeds} | folders.parts
    return "\n".join(
        [
            FIRST,
            f"{MARK} {shlex.quote(shown(folder))}`, which writes it again where words have come or gone.",
            f"labels: [{', '.join(map(quoted, folders.labels))}]",
            f"background: {quoted(folders.background or '')}",
            "data:",
            *(f"  {name}: {quoted(shown(path))}" for name, path in data.items()),
            "",
        ]
    )


def write_experiment(conf: Path, name: str, text: str) -> Path:
    """Write `conf/experiment/<name>.yaml`, once Hydra and the schema take it, and return its path.

    Raises UserError where the file was written by somebody else, or where it would not compose.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"--name {name}: expected letters from a to z, digits, _ and -")
    path = conf / "experiment" / f"{name}.yaml"
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise UserError(f"{path}: was not written by `kws new`; choose another name: --name {name}_words")
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "conf"
        shutil.copytree(conf, trial)
        (trial / "experiment" / path.name).write_text(text, encoding="utf-8", newline="\n")
        compose(trial, Path(folder) / "params.yaml", [f"experiment={name}"])
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return path


def next_steps(folder: Path, path: Path) -> Iterator[str]:
    """Yield what to do now, a line each, and what git has to know first where runs are queued."""
    command = f"-S experiment={path.stem}"
    yield f"next:  dvc exp run {command}"
    yield f"later runs name it too:  dvc exp run {command} -S train.lr=3e-4"
    if unknown_to_git(folder, path):
        one, other = (shlex.quote(str(place)) for place in (folder, path))
        yield "queued runs see only what git knows, and these recordings it does not know yet:"
        yield f"  git add {one} {other}"
        yield f"  or let the queue bring them along:  dvc exp run --queue --copy-paths {one} {command}"


def unknown_to_git(*paths: Path) -> bool:
    """Say whether git has yet to be told of files under these paths, or of their latest content."""
    command = ["git", "status", "--porcelain", "--ignored", "--untracked-files=all", "--", *map(str, paths)]
    told = run(command, GIT_S)
    return not told.ok or any(line[1:2] != b" " for line in told.out.splitlines())
