"""`python -m kws.runtime`: the commands of the board, where no `kws` is on the path."""

from kws.runtime.cli import app

app()
