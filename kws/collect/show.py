"""What `kws check` and `kws new` show of recordings."""

import shutil
from collections import defaultdict
from pathlib import Path

import typer

from kws.collect import alike, table
from kws.collect.check import Checked, check
from kws.collect.folders import Folders
from kws.common.types import Audio
from kws.evaluation.recordings import centre
from kws.features.logmel import FrontEnd
from kws.recordings.verdict import State

ENCODER = Path("data/encoder/encoder.pt")
COLOURS: dict[State, str | None] = {"ok": None, "doubtful": "yellow", "unusable": "red"}
WIDE = 200
"""Characters of a line where it goes to a file or a program."""


def show(folders: Folders, front_end: FrontEnd, plot: Path | None = None) -> bool:
    """Check recordings, print what they are like, and return whether a model can be trained on them."""
    checked = check(folders, front_end.sample_rate, front_end.clip_s)
    checked.notes.extend(alike.told(_clips(checked, front_end), front_end, ENCODER))
    width = shutil.get_terminal_size((WIDE, 24)).columns
    for line, state in table.lines(checked, front_end.sample_rate, width):
        typer.secho(line, fg=COLOURS[state])
    for line, state in table.told(checked, width):
        typer.secho(line, fg=COLOURS[state])
    typer.echo(table.summary(checked))
    if checked.errors:
        typer.secho("a model cannot be trained on them as they are", fg="red")
    if plot:
        from kws.collect.picture import draw

        draw(plot, checked.recordings, front_end)
    return not checked.errors


def _clips(checked: Checked, front_end: FrontEnd) -> dict[str, list[Audio]]:
    """Return the words of each keyword that clips will be made of, in the middle of a clip each."""
    clips: defaultdict[str, list[Audio]] = defaultdict(list)
    for one in checked.words:
        audio = one.verdict.audio
        if one.trained and audio is not None:
            clips[one.label] += [centre(audio, word, front_end.clip_samples) for word in one.verdict.words]
    return dict(clips)
