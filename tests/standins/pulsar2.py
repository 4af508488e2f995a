"""`pulsar2 version|build|run`: reads what the real one reads, and wraps the ONNX instead of compiling it.

The log holds the lines that a build of this network with Pulsar2 4.2 printed.
"""

import argparse
import io
import json
import sys
import tarfile
import time
from pathlib import Path

from axmodel import wrap
from state import mode, note, run_onnx

LOG = """\
+-------------+----------------------------+
|  IN: {name}  |  float32: {shape}   |
2025-09-28 06:19:25.075 | WARNING  | yamain.command.build:fill_default:313 - apply default output processor
2025-09-28 06:19:25.078 | INFO     | yamain.common.util:extract_archive:148 - extract [{tar}] to [{out}/quant]...
Building onnx \u2501\u2501\u2501\u2501 100% 0:00:00
2025-09-28 06:19:26.993 | SUCCESS  | opset.utils:check_data:1432 - check onnx parser e2e [output] successfully!
[Warning]Unexpected input value of operation /gru/GRU, recieving "None" at its input 4
[06:19:27] AX Set Float Op Table Pass Running ...
[Info]Use dynamic gru quantization
Calibration Progress(Phase 1):  50%|##   | {half}/{n} [00:01<00:01, 148.54it/s]\rCalibration Progress(Phase 1): \
100%|#####| {n}/{n} [00:02<00:00, 148.54it/s]
Num of Op:                    [15]
Num of Quantized Op:          [15]
Num of Quant Config:          [45]
FP32:                         [7]
Network Quantization Finished.
2025-09-28 06:19:31.707 | INFO     | yamain.command.build:compile_ptq_model:1134 - group 0 QuantAxModel macs: 13,437,952
2025-09-28 06:19:32.013 | INFO     | yamain.command.build:compile_ptq_model:1266 - subgraph [0], group: 0, type: GraphType.NPU
tiling op...   \u2501\u2501\u2501\u2501 1223/1223 0:00:05
2025-09-28 06:19:57.546 | INFO     | yasched.test_onepass:results2model:2738 - max_cycle = 648,294
2025-09-28 06:20:36.065 | INFO     | backend.ax620e.linker:link_with_dispatcher:2007 - Total mcode size: 485 KiB
2025-09-28 06:20:36.096 | INFO     | yamain.command.build:compile_ptq_model:1308 - fuse 1 subgraph(s)
"""  # noqa: E501
TABLE = """\
┏━┳━┳━┓
┃ Op ┃ Type ┃ Tensor ┃ Shape ┃ Data Type ┃ Cosin ┃ MSE ┃
│ /conv1/Conv │ Conv │ conv1 │ (1, 16, 98, 64) │ U8 │ 0.99991 │ 0.00012 │
│             │      │       │                 │ .. │         │         │
│ /fc/Gemm │ AxQuantizedGemm │ output │ (1, 8) │ U8 │ 0.99871 │ 0.00312 │
"""
ERRORS = {
    "quant_error": "QuantError: 3>, AssertionError('Numpy File(0000.npy) has dtype(float32), however int64')",
    "frontend_error": "FrontendError: 6>, KeyError('dont support LRN opr in AXOPS/ONNXOPS/CUSTOM_OPS')",
    "ocm_error": "NPUBackendError: 8>, AssertionError('ocm alloc with 123456 failed')",
}


def fail(error: str) -> None:
    print('Traceback (most recent call last):\n  File "</opt/pulsar2/yamain/main.py>", line 4, in <module>')
    print(f"yamain.common.error.CodeException: (<ErrorCode.{error})")
    sys.exit(1)


def main(arguments: list[str], where=Path, writable=lambda path: True) -> None:
    """Run a command; `where` maps a container's path to the real one, `writable` says if it may change."""
    note(pulsar2=arguments)
    parser = argparse.ArgumentParser("main.py", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("version")
    commands.add_parser("build").add_argument("--config", required=True)
    run = commands.add_parser("run")
    for flag in ("--model", "--input_dir", "--output_dir", "--list"):
        run.add_argument(flag, required=True)
    options = parser.parse_args(arguments)
    if options.command == "version":
        print("version: 4.2\ncommit: 751f68f9")
    elif options.command == "build":
        build(json.loads(where(options.config).read_text()), where, writable)
    else:
        simulate(options, where, writable)


def read_samples(config: dict, where) -> int:
    """Check the calibration archive against its format, and return how many samples it holds."""
    import numpy as np
    from PIL import Image

    (source,) = config["quant"]["input_configs"]
    name, shape = config["input_shapes"].split(":")
    shape = tuple(map(int, shape.split("x")))
    with tarfile.open(where(source["calibration_dataset"])) as tar:
        contents = [tar.extractfile(member).read() for member in tar.getmembers()]
    for content in contents:
        match source["calibration_format"]:
            case "Numpy":
                array = np.load(io.BytesIO(content))
            case "Binary":
                array = np.frombuffer(content, np.float32).reshape(shape)
            case "NumpyObject":
                assert source["tensor_name"] == "DEFAULT"
                array = np.load(io.BytesIO(content), allow_pickle=True).item()[name]
            case "Image":
                pixels = np.asarray(Image.open(io.BytesIO(content)), np.float32)[None, None]
                (mean,), (std,) = source["calibration_mean"], source["calibration_std"]
                assert config["input_processors"][0]["std"] == [1]
                array = ((pixels - mean) / std).astype(np.float32)
        if (array.shape, array.dtype) != (shape, np.float32):
            fail(f"QuantError: 3>, AssertionError('sample has dtype({array.dtype}), shape {array.shape}')")
    return len(contents)


def build(config: dict, where, writable) -> None:
    import onnx

    out = where(config["output_dir"])
    assert writable(config["output_dir"]), "read-only"
    assert config["target_hardware"] in ("AX620E", "AX650")
    model = onnx.load(where(config["input"]))
    n = read_samples(config, where)
    (source,) = config["quant"]["input_configs"]
    n = min(n, source["calibration_size"]) if source["calibration_size"] > 0 else n
    wrong = mode()
    name, shape = config["input_shapes"].split(":")
    lines = LOG.format(
        name=name, shape=shape, tar=source["calibration_dataset"], out=config["output_dir"], n=n, half=n // 2
    ).split("\n")
    print("\n".join(lines[:6]), flush=True)
    if wrong in ERRORS:
        fail(ERRORS[wrong])
    if wrong == "oom":
        sys.exit(137)
    if wrong == "hang":
        time.sleep(3600)
    if wrong == "escapes":
        print("\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \x9b31m \x00 bell\x07")
    if wrong == "huge":
        while True:
            print("x" * 2**16)
    print("\n".join(lines[6:]), flush=True)
    hardware = config["target_hardware"] if wrong != "other_chip" else "AX650"
    npu_mode = config["npu_mode"] if wrong != "other_mode" else "NPU2"
    axmodel = wrap(model, hardware, npu_mode, "7.0" if wrong == "other_version" else "4.2")
    if wrong == "other_shape":
        axmodel.graph.output[0].type.tensor_type.shape.dim[1].dim_value += 1
    if wrong == "no_metadata":
        del axmodel.metadata_props[:]
    content = {"empty": b"", "garbage": b"\xff" * 1000}.get(wrong, axmodel.SerializeToString())
    if wrong != "no_output":
        (out / config["output_name"]).write_bytes(content)
    if wrong != "no_report":
        (out / "quant").mkdir(exist_ok=True)
        report = quantise(model, config["quant"]["layer_configs"], wrong)
        (out / "quant/quant_axmodel.json").write_text(json.dumps(report))
    if config["quant"]["precision_analysis"]:
        (out / "quant/debug").mkdir(parents=True, exist_ok=True)
        (out / "quant/debug/precision_analysis_table.txt").write_text(TABLE)


def quantise(model, layers, wrong) -> dict:
    """Return quant_axmodel.json: the bits of each operator's tensors. Names may be fused away, or ignored."""
    report = {}
    for number, node in enumerate(model.graph.node):
        if node.op_type in ("Constant", "Reshape"):
            continue
        # a name wins over a type, and a type over a range of tensors
        ranks = [
            (2 if named else 1 if node.op_type == layer.get("op_type") else 0, layer["data_type"])
            for layer in layers
            for named in [node.name in layer.get("layer_names", ()) and wrong != "ignored"]
            if named or node.op_type == layer.get("op_type") or "start_tensor_names" in layer
        ]
        asked = max(ranks, default=(0, "U8"), key=lambda rank: rank[0])[1]
        gone = wrong == "fused" and node.op_type == "Conv"
        flows = {"U8": (8, "ACTIVATED"), "U16": (16, "ACTIVATED"), "FP32": (8, "FP32")}[asked]
        report[f"op_{number}" + f":{node.name}" * (not gone)] = {
            node.input[0]: dict(zip(("bit_width", "state"), flows, strict=True)),
            "weight": {"bit_width": 8, "state": "ACTIVATED"},
        }
    return report


def simulate(options: argparse.Namespace, where, writable) -> None:
    assert writable(options.output_dir), "read-only"
    call, n_bytes = run_onnx(where(options.model))
    print("Building native \u2501\u2501\u2501\u2501 100% 0:00:00")
    if mode() == "run_error":
        fail("RuntimeError: 1>, RuntimeError('simulation')")
    for index in where(options.list).read_text().split("\n")[:-1]:
        content = (where(options.input_dir) / index / "input.bin").read_bytes()
        assert len(content) == n_bytes
        answer = where(options.output_dir) / index / "output.bin"
        if mode() == "lost_output" and index == "1":
            continue
        answer.parent.mkdir(parents=True)
        answer.write_bytes(call(content))
        print(f">>> [{index}] start\nwrite [output] to [{answer}] successfully\n>>> [{index}] finish")


if __name__ == "__main__":
    main(sys.argv[1:])
