"""Gather all results: reports/metrics.json."""

import json
from pathlib import Path
from typing import Any

from kws.config import load_params
from kws.files import write_json
from kws.headline import headline
from stages import paths, run


def main() -> None:
    """Write every number of this run in one file that git tracks, and show the first ones."""
    chosen = load_params(paths.PARAMS).target.model_dump(exclude_none=True)
    targets = {name: _read(paths.benchmark(name)) for name in chosen}
    metrics = _read(paths.EVALUATION) | {"onnx": _read(paths.ONNX_REPORT), "targets": targets}
    write_json(paths.METRICS, metrics)
    print("\n".join(headline(metrics)))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(main)
