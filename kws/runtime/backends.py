"""What runs a model, told by its file: onnxruntime on a CPU, axengine on an Axera NPU.

Both have the same call shape (`kws.runtime.inference.Session`); each is imported only when a model needs it.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from kws.common.errors import UserError
from kws.runtime.inference import Session, cpu_session

NPU_PROVIDER = "AxEngineExecutionProvider"
"""The chip itself; the environment variable KWS_AXENGINE_PROVIDER names another, as AXCLRTExecutionProvider
for an AX650 card in a PC."""


def onnxruntime_session(model: Path) -> Session:
    """Load an ONNX model to run on the CPU, on one thread."""
    try:
        return cpu_session(model)
    except ImportError as error:
        raise UserError(f"{model}: needs onnxruntime; install it with `pip install onnxruntime`") from error
    except Exception as error:  # onnxruntime's own exceptions share no other base
        raise UserError(f"{model}: cannot be loaded ({' '.join(str(error).split())})") from error


def axengine_session(model: Path) -> Session:
    """Load a compiled model to run on the NPU."""
    provider = os.environ.get("KWS_AXENGINE_PROVIDER", NPU_PROVIDER)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it reports to stdout, where only events belong
            import axengine

            session: Session = axengine.InferenceSession(str(model), providers=[provider])
    except ImportError as error:
        raise UserError(
            f"{model}: needs axengine on a board with its driver ({error}); "
            "its wheel is among the releases of AXERA-TECH/pyaxengine"
        ) from error
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{model}: cannot be loaded by {provider} ({error})") from error
    return session


BACKENDS: dict[str, tuple[str, Callable[[Path], Session]]] = {
    ".onnx": ("onnxruntime", onnxruntime_session),
    ".axmodel": ("axengine", axengine_session),
}
"""Name and loader of what runs a file with this suffix."""


def open_session(model: Path) -> Session:
    """Load a model with what its suffix asks for. Raises UserError where it is missing or does not load."""
    if model.suffix not in BACKENDS:
        raise UserError(f"{model}: expected a model ending in {' or '.join(BACKENDS)}")
    if not model.is_file():
        raise UserError(f"{model}: no such model; make it with `dvc repro`, or name one with --bundle")
    return BACKENDS[model.suffix][1](model)
