"""What Pulsar2 is told: the JSON of a build, from a target's parameters."""

from typing import Any

from kws.params.sections import Ax630c, Ax650n
from kws.targets.calibration import Scaling
from kws.targets.precision import Layers

MODEL, ARCHIVE, CONFIG = "kws.onnx", "calib.tar", "pulsar2.json"
"""Names in the input folder of a build."""
AXMODEL = "kws.axmodel"


def build_config(
    target: Ax630c | Ax650n, root: str, name: str, shape: list[int], scaling: Scaling, layers: Layers
) -> dict[str, Any]:
    """Return the configuration of `pulsar2 build` for the model input `name` of this shape.

    `root` is the job's folder as Pulsar2 sees it: it reads `<root>/in` and writes `<root>/out`; `layers` are
    those that leave 8 bits. With the
    default parameters this is the one configuration known to have compiled this network: no layer, processor
    or compiler settings. Only an archive of images needs more: what turns its pixels back into features, and
    that the compiled model's own input must not be scaled so.
    """
    inputs: dict[str, Any] = {
        "tensor_name": "DEFAULT" if target.calibration_format == "NumpyObject" else name,
        "calibration_dataset": f"{root}/in/{ARCHIVE}",
        "calibration_format": target.calibration_format,
        "calibration_size": target.calibration_samples,
        "calibration_mean": [],
        "calibration_std": [],
    }
    config: dict[str, Any] = {
        "input": f"{root}/in/{MODEL}",
        "output_dir": f"{root}/out",
        "output_name": AXMODEL,
        "model_type": "ONNX",
        "target_hardware": target.hardware,
        "npu_mode": target.npu_mode,
        "input_shapes": f"{name}:{'x'.join(map(str, shape))}",
        "quant": {
            "input_configs": [inputs],
            "layer_configs": layers,
            "calibration_method": target.calibration_method,
            "precision_analysis": target.precision_analysis,
        },
        "compiler": {"check": 0},
    }
    if target.precision_analysis:
        config["quant"] |= {"precision_analysis_method": "EndToEnd", "precision_analysis_mode": "NPUBackend"}
    if target.calibration_format == "Image":
        inputs |= {"calibration_mean": [scaling.mean], "calibration_std": [scaling.std]}
        config["input_processors"] = [
            {
                "tensor_name": name,
                "tensor_format": "GRAY",
                "tensor_layout": "NCHW",
                "src_format": "GRAY",
                "src_layout": "NCHW",
                "src_dtype": "FP32",
                "mean": [0],
                "std": [1],
            }
        ]
    return config
