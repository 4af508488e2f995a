"""Say before anything that takes time what is missing: data/checked, whose content never changes."""

import os
import sys
import warnings
from pathlib import Path

from kws.board.ssh import find_link
from kws.common.errors import UserError
from kws.common.files import replacing
from kws.evaluation.streams import read_streams
from kws.params.cost import cost
from kws.params.sections import Host
from kws.params.whole import load_params
from kws.recordings.audio import audio_files
from kws.recordings.names import folders_of
from kws.targets.toolchain import toolchain_for
from stages import paths, run

GOES_BACK = "`kws compose` brings back the params.yaml of conf/"


def main() -> None:
    """Look for all folders of recordings and all programs that the stages to come will need."""
    params = load_params(paths.PARAMS)
    data = params.data
    for label in params.labels:
        _folder("data.seeds", Path(data.seeds) / label)
    for key, folder in data.model_dump().items():
        _folder(f"data.{key}", Path(folder))
    seeds = [Path(data.seeds) / label for label in params.labels]
    with warnings.catch_warnings(action="ignore"):  # the stages that read them say what there is to say
        for folder in (*seeds, *map(Path, (data.voices, data.negatives, data.rirs))):
            audio_files(folder, optional=True)  # DVC itself waits at a pipe, and stumbles over some names
        read_streams(Path(data.streams), params.labels, params.background)  # its table names labels
    for name, target in params.target:
        if target and not isinstance(target, Host):
            try:
                toolchain_for(name, target.image)
                find_link(name)
            except UserError as error:
                raise UserError(f"{error}; {GOES_BACK}") from error
    if large := cost(params).told_if_large(Path.cwd()):
        print(f"warning: {large}", file=sys.stderr)
    with replacing(paths.CHECKED) as partial:
        partial.write_text("ok\n", encoding="utf-8", newline="\n")


def _folder(key: str, path: Path) -> None:
    if path.is_dir():
        return
    if other := folders_of(path.parent, path.name) if key == "data.seeds" else []:
        raise UserError(f"{other[0]}: must be called exactly as its label is, for DVC; rename it to {path}")
    queued = Path(os.environ.get("DVC_ROOT", "")).resolve() != Path.cwd().resolve()
    if "DVC_ROOT" in os.environ and queued and not path.is_absolute():
        top = path.parts[0]
        why = f"a queued experiment sees what git knows: git add {top}, or queue it with --copy-paths {top}"
    else:
        why = "create it and put recordings there" if key == "data.seeds" else "create it, or say data/none"
    raise UserError(f"{path}: no such folder, which {key} needs; {why}; or {GOES_BACK}")


if __name__ == "__main__":
    run(main)
