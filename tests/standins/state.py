"""What a stand-in is to do wrong, and what it was asked: files in a folder, read by programs."""

import json
import os
from pathlib import Path

STATE = Path(os.environ.get("KWS_STANDIN_STATE", "."))


def mode() -> str:
    """The mishap that a test asks for."""
    path = STATE / "mode"
    return path.read_text() if path.is_file() else ""


def note(**call: object) -> None:
    """Keep a call for the test to look at."""
    with (STATE / "calls.jsonl").open("a") as file:
        file.write(json.dumps(call) + "\n")


def once(name: str) -> bool:
    """Whether this is the first time that anybody asks."""
    try:
        (STATE / f"once.{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def run_onnx(axmodel: Path):
    """Return a function from an input's bytes to the output's: the ONNX that the axmodel was made from."""
    import numpy as np
    import onnx
    import onnxruntime as ort

    weights = {w.name: w for w in onnx.load(axmodel).graph.initializer}
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(weights["npu_params"].raw_data, options)
    (value,) = session.get_inputs()

    def call(content: bytes) -> bytes:
        array = np.frombuffer(content, "<f4").reshape(value.shape)
        return session.run(None, {value.name: array})[0].astype("<f4").tobytes()

    return call, 4 * int(np.prod(value.shape))
