"""`kws`: small commands around the pipeline."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kws.errors import UserError

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


def app() -> None:
    """Run the command line; bad input ends in one line and exit status 1."""
    try:
        cli()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
