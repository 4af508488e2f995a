"""Packs what a board needs into one archive: model, detector, front end and the code that runs them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from kws.bundle.wheel import build_wheel
from kws.common.errors import UserError
from kws.common.files import replacing, sha256
from kws.common.foreign import parse_json, read_bytes, typed
from kws.runtime.backends import BACKENDS
from kws.runtime.bundle import DETECTOR, FORMAT, GOLDEN, MANIFEST, Manifest, golden_vector
from kws.runtime.kit import read_kit
from kws.runtime.points import adjusted
from kws.targets.axmodel import TARGETS, read_axmodel, too_new, wrong_chip

FLOAT = "float"
"""The target of the model as it was trained: any CPU, no compiler."""
FOLDER = "kws-bundle"
UNIT = """# Copy to /etc/systemd/system/, then: systemctl enable --now kws-listen
[Unit]
Description=Keyword spotter
After=sound.target

[Service]
ExecStart=/opt/kws/bin/kws listen --bundle /opt/kws-bundle --json
# where the NPU's libraries are on M5Stack's boards; needed by axengine only
Environment=LD_LIBRARY_PATH=/opt/lib:/soc/lib
Restart=on-failure
RestartSec=5
NoNewPrivileges=true
ProtectHome=true

[Install]
WantedBy=multi-user.target
"""
README = """Install and run, on the board:

    tar xzf kws-bundle.tar.gz -C /opt
    python3 -m venv /opt/kws
    /opt/kws/bin/pip install '/opt/kws-bundle/{wheel}[{extras}]'{axengine}
    /opt/kws/bin/kws spot recording.wav --bundle /opt/kws-bundle     # what is heard in a file
    /opt/kws/bin/kws listen --bundle /opt/kws-bundle                 # ... in the microphone

It fires too often, or hears too little: listen --fa-per-hour 2, or --sensitivity LABEL=+1.

The wheel must be the one in this folder: a bundle refuses to run with another front end.
"""
AXENGINE = """
    /opt/kws/bin/pip install axengine-*.whl   # from the releases of AXERA-TECH/pyaxengine"""


def write_bundle(
    out: Path,
    target: str,
    models: Path,
    fa_per_hour: float | None = None,
    sensitivity: Sequence[str] = (),
    measured: Path | None = None,
) -> Manifest:
    """Write a tar.gz of the bundle for a target from `models`, the same bytes every time.

    Its thresholds are those of `detector.json`, or what `kws.runtime.points.adjusted` makes of them.
    `models` holds kws.onnx, detector.json and a folder for each compiled target; `measured` is the target's
    last benchmark, which names the engine of its board. Raises UserError where a file of `models` is missing,
    where the target was compiled from another kws.onnx or for another chip, or by a Pulsar2 too new for that
    engine.
    """
    kit = read_kit(models / "kws.onnx", models / "detector.json")
    spec = adjusted(kit.detector, fa_per_hour, sensitivity)
    model, build = _compiled(models, target, _engine(measured))
    release = version("kws")
    wheel, wheel_bytes = build_wheel(release)
    backend = BACKENDS[model.suffix][0]
    extras, axengine = ("cpu,listen", "") if backend == "onnxruntime" else ("listen", AXENGINE)
    golden = io.BytesIO()
    np.save(golden, golden_vector(kit.front_end))
    files = {
        model.name: model.read_bytes(),
        DETECTOR: _json(asdict(spec)),
        GOLDEN: golden.getvalue(),
        wheel: wheel_bytes,
        "kws-listen.service": UNIT.encode(),
        "README.txt": README.format(wheel=wheel, extras=extras, axengine=axengine).encode(),
    }
    manifest = Manifest(
        format=FORMAT,
        version=release,
        target=target,
        model=model.name,
        labels=kit.detector.labels,
        front_end=kit.front_end,
        build=build,
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    with replacing(out) as partial:
        _write_tar(partial, {MANIFEST: _json(asdict(manifest))} | files)
    return manifest


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _engine(measured: Path | None) -> str:
    """Return the engine of the board that was measured last, or an empty string where there was none."""
    if measured is None or not measured.is_file():
        return ""
    try:
        board = typed(dict[str, Any], parse_json(read_bytes(measured))).get("board", {})
        return str(typed(dict[str, Any], board).get("engine", ""))
    except ValueError as error:
        raise UserError(f"{measured}: not what `benchmark` wrote ({error}); run `dvc repro` again") from error


def _compiled(models: Path, target: str, engine: str) -> tuple[Path, dict[str, Any]]:
    """Return the model of a target and its build.json."""
    if target == FLOAT:
        return models / "kws.onnx", {}
    folder = models / target
    found = sorted(p for p in folder.glob("*") if p.suffix in BACKENDS)
    if len(found) != 1 or not (folder / "build.json").is_file():
        raise UserError(
            f"{folder}: no compiled model; make it with `dvc exp run -S 'target=[{target}]'`,"
            f" or use --target {FLOAT}"
        )
    build = _read_build(folder / "build.json")
    inputs = build.get("inputs")
    made_of = inputs.get("kws.onnx") if isinstance(inputs, dict) else None
    if made_of is not None and made_of != sha256(models / "kws.onnx"):
        raise UserError(f"{found[0]}: compiled from another {models / 'kws.onnx'}; run `dvc repro` first")
    family = TARGETS.get(target) if found[0].suffix == ".axmodel" else None
    if family:
        model = read_axmodel(found[0])
        if wrong := wrong_chip(model, family):
            raise UserError(f"{found[0]} {wrong}; compile it for this target")
        if newer := too_new(model, engine):
            raise UserError(f"{found[0]} {newer}")
    return found[0], build


def _read_build(path: Path) -> dict[str, Any]:
    try:
        return typed(dict[str, Any], parse_json(read_bytes(path)))
    except ValueError as error:
        raise UserError(f"{path}: not what `compile` wrote ({error}); run `dvc repro` again") from error


def _write_tar(path: Path, files: dict[str, bytes]) -> None:
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for name, data in files.items():
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
