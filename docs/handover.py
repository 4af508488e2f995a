"""Pack what somebody with a board runs and brings back: `python -m docs.handover OUT.tar.gz`."""

import sys
from pathlib import Path

from kws.board.handover import pack
from kws.common.errors import UserError
from kws.params.whole import load_params
from kws.runtime.cli import run
from stages import paths


def main() -> None:
    """Write the archive and say how to use it."""
    if len(sys.argv) != 2 or not sys.argv[1].endswith(".tar.gz"):
        raise UserError("usage: python -m docs.handover OUT.tar.gz")
    models = paths.target("ax630c").parent
    packed = pack(Path(sys.argv[1]), load_params(paths.PARAMS), models, paths.ONNX, paths.CALIB)
    print(f"{sys.argv[1]}: models for {' and '.join(packed)}; on the board, unpack it and run: sh run.sh")


if __name__ == "__main__":
    run(main)
