"""Which run goes on with the words of params.yaml: `dvc exp run` composes that file anew from conf/."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

UNKNOWN = "  # NAME is what `kws new` makes of the folder with these words"
"""Behind a command that a shell would take."""


def run_with(conf: Path, labels: Sequence[str], changed: Sequence[str]) -> str:
    """Return the `dvc exp run` that keeps these labels and makes these changes, such as `data.eval=my/eval`.

    Labels are those of conf/config.yaml, or of an experiment, which is named then.
    """
    words, hint = list(changed), ""
    if conf.is_dir() and _labels(conf / "config.yaml") != list(labels):
        paths = sorted((conf / "experiment").glob("*.yaml"))
        own = [path.stem for path in paths if _labels(path) == list(labels)]
        words, hint = [f"experiment={own[0] if own else 'NAME'}", *words], "" if own else UNKNOWN
    return "dvc exp run" + "".join(f" -S {shlex.quote(word)}" for word in words) + hint


def _labels(path: Path) -> Any:
    try:
        found = OmegaConf.load(path)
        return OmegaConf.to_container(found).get("labels")  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError, YAMLError, OmegaConfBaseException):
        return None
