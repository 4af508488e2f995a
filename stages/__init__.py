"""The pipeline's stages: each reads its part of params.yaml, calls `kws`, and writes its outputs."""

import os
import sys
import warnings
from collections.abc import Callable

from kws.errors import UserError

# before any library starts its threads: threads that wait by spinning slow two runs on one machine tenfold
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# numpy's products are small: a second thread that spins for its share doubles the work and changes last bits
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def run(main: Callable[..., None]) -> None:
    """Call a stage with the command line's arguments; bad input ends in one line and exit status 1."""
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {place}{error.strerror}; check the path, its permissions and the free space")
