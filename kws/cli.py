"""`kws`: small commands around the pipeline."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kws.config import load_params
from kws.errors import UserError


class Layout(StrEnum):
    """How WAV files are named."""

    plain = "plain"
    original = "original"


cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.callback()
def kws() -> None:
    """Keyword spotting from one recording per word. The pipeline itself is run by `dvc repro`."""


@cli.command()
def compose(
    overrides: Annotated[list[str] | None, typer.Argument(help="Hydra overrides, e.g. train.lr=3e-4")] = None,
) -> None:
    """Rewrite params.yaml from conf/, as `dvc exp run` does; `dvc repro` never does."""
    from kws.compose import compose as write

    write(Path("conf"), Path("params.yaml"), overrides or [])


@cli.command()
def wavs(
    label: Annotated[str, typer.Argument(help="a label, or _hard for the negatives made from keywords")],
    out: Annotated[Path, typer.Option(help="folder to write to")],
    n: Annotated[int | None, typer.Option(min=1, help="how many clips; all of them if not given")] = None,
    like: Annotated[Layout, typer.Option(help="original: <LABEL>/<label>_00000.wav")] = Layout.plain,
) -> None:
    """Write a label's clips as WAV files, to listen to or to use elsewhere."""
    from kws.wavs import write_wavs

    rate = load_params(Path("params.yaml")).features.sample_rate
    for path in write_wavs(Path("data/clips") / label, out, n, rate, original=like is Layout.original):
        typer.echo(path)


def app() -> None:
    """Run the command line; bad input ends in one line and exit status 1."""
    try:
        cli()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
