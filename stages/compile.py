"""Compile the model for a target: models/<target>/ with build.json."""

import onnx

from kws.config import load_params
from kws.files import replacing, sha256, write_json
from kws.targets.host import TOOL, compile_host
from stages import paths, run


def main(target: str) -> None:
    """Quantise models/kws.onnx with the calibration archive."""
    host = load_params(paths.PARAMS).target.chosen_host()
    tar = paths.CALIB / "calib_kws.tar"
    compiled, precision = compile_host(paths.ONNX, tar, host)
    build = {
        "target": target,
        "tool": TOOL,
        "config": host.model_dump(),
        "inputs": {path.name: sha256(path) for path in (paths.ONNX, tar)},
        **precision,
    }
    with replacing(paths.target(target)) as folder:
        folder.mkdir()
        onnx.save(compiled, folder / "kws.onnx")
        write_json(
            folder / "build.json", build | {"size_kb": round((folder / "kws.onnx").stat().st_size / 1024, 1)}
        )


if __name__ == "__main__":
    run(main)
