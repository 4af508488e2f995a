"""Compile the model for a target: models/<target>/ with build.json."""

from typing import Any

import onnx

from kws.common.files import replacing, sha256, write_json
from kws.params.sections import Host
from kws.params.whole import load_params
from kws.targets.axera import compile_axera
from kws.targets.host import TOOL, compile_host
from stages import paths, run


def main(target: str) -> None:
    """Quantise models/kws.onnx with the calibration archive."""
    chosen = load_params(paths.PARAMS).target.chosen(target)
    tar, log = paths.CALIB / "calib_kws.tar", paths.compile_log(target)
    build: dict[str, Any] = {
        "target": target,
        "config": chosen.model_dump(),
        "inputs": {path.name: sha256(path) for path in (paths.ONNX, tar)},
    }
    with replacing(paths.target(target)) as folder:
        folder.mkdir()
        if isinstance(chosen, Host):
            compiled, precision = compile_host(paths.ONNX, tar, chosen)
            onnx.save(compiled, folder / "kws.onnx")
            size_kb = round((folder / "kws.onnx").stat().st_size / 1024, 1)
            build |= {"tool": TOOL, **precision, "size_kb": size_kb}
        else:
            build |= compile_axera(target, paths.ONNX, tar, chosen, folder, log)
        write_json(folder / "build.json", build)


if __name__ == "__main__":
    run(main)
