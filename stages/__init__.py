"""The pipeline's stages: each reads its part of params.yaml, calls `kws`, and writes its outputs."""

import os
import re
import sys
import warnings
from collections.abc import Callable
from types import TracebackType

from kws.common.errors import UserError

# before any library starts its threads: threads that wait by spinning slow two runs on one machine tenfold
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# numpy's products are small: a second thread that spins for its share doubles the work and changes last bits
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

INTERRUPTED = "error: interrupted; run it again to go on"


def run(main: Callable[..., None]) -> None:
    """Call a stage with its arguments; whatever ends it early is one line and exit status 1, Ctrl-C 130.

    The arguments are the command line's. DVC gives none: it says which stage it runs in DVC_STAGE, and what a
    stage is repeated for is part of that name, so no label or target is part of a command that a shell reads.
    Under DVC a stage also fails where its inputs have changed meanwhile.
    """
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    name = re.sub(r"^[./\\]*dvc\.yaml:", "", os.environ.get("DVC_STAGE", ""))
    repeated_for = name.split("@", 1)[1:]
    try:
        if name:
            _watched(name, lambda: main(*(sys.argv[1:] or repeated_for)))
        else:
            main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        place = f"{error.filename or name}: " if error.filename or name else ""
        sys.exit(
            f"error: {place}{error.strerror or error}; check the path, its permissions and the free space"
        )
    except MemoryError:
        sys.exit("error: not enough memory for what params.yaml asks for; ask for less, or free some")
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # so Lightning ends
            _interrupted()
        raise


def _watched(name: str, work: Callable[[], None]) -> None:
    """Do the work of a stage; raise UserError where its inputs are others then, so that DVC keeps nothing.

    DVC would record that the outputs were made of what lies there now.
    """
    from kws.params.inputs import (  # with numpy, which the environment above is for
        difference,
        look,
        read_stage,
    )
    from stages import paths

    stage = read_stage(name, paths.PIPELINE, paths.PARAMS)
    before = look(stage, paths.PARAMS)
    work()
    if changed := difference(before, look(stage, paths.PARAMS)):
        raise UserError(f"{changed} since {name} began to read it, so its outputs do not count; run it again")


def _interrupted() -> None:
    warnings.simplefilter("ignore")  # of workers that are told to stop
    print(INTERRUPTED, file=sys.stderr)
    sys.exit(130)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):  # while a stage's modules are loaded
        print(INTERRUPTED, file=sys.stderr)
    elif isinstance(error, ModuleNotFoundError):
        todo = "run `source .venv/bin/activate` (after `make setup`) first"
        print(f"error: {sys.executable} has no {error.name}; {todo}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _uncaught
