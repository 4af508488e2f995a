"""The wheel of the run-time part, the same bytes whenever it is made of the same sources."""

import base64
import hashlib
import io
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
NAME = "kws_runtime"
MODULES = (
    "__init__.py",
    "common/__init__.py",
    "common/arrays.py",
    "common/errors.py",
    "common/files.py",
    "common/foreign.py",
    "common/labels.py",
    "common/terminal.py",
    "common/types.py",
    "detector.py",
    "features/__init__.py",
    "features/logmel.py",
    "features/streaming.py",
    "recordings/__init__.py",
    "recordings/floor.py",
    "recordings/phones.py",
    "recordings/soundfiles.py",
    "runtime",
)
"""What runs on the board, relative to this package; a test compares it with the imports."""
METADATA = """Metadata-Version: 2.1
Name: kws-runtime
Version: {version}
Summary: Keyword spotting: the part that runs on the board
License: MIT
Requires-Python: >=3.10
Requires-Dist: numpy>=1.23
Requires-Dist: soundfile>=0.12
Requires-Dist: typer>=0.12
Provides-Extra: cpu
Requires-Dist: onnxruntime>=1.16; extra == "cpu"
Provides-Extra: listen
Requires-Dist: sounddevice>=0.5; extra == "listen"
Requires-Dist: soxr>=0.5; extra == "listen"
Provides-Extra: mqtt
Requires-Dist: paho-mqtt>=2; extra == "mqtt"
Provides-Extra: vad
Requires-Dist: webrtcvad-wheels>=2.0.14; extra == "vad"
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: kws\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ENTRY_POINTS = "[console_scripts]\nkws = kws.runtime.cli:app\n"


def sources() -> list[Path]:
    """Return the files of the run-time part, sorted."""
    files = [PACKAGE / name for name in MODULES]
    return sorted(p for f in files for p in ([f] if f.is_file() else f.rglob("*.py")))


def build_wheel(version: str) -> tuple[str, bytes]:
    """Return the file name and the bytes of the wheel."""
    info = f"{NAME}-{version}.dist-info"
    members = {p.relative_to(PACKAGE.parent).as_posix(): p.read_bytes() for p in sources()}
    members |= {
        f"{info}/METADATA": METADATA.format(version=version).encode(),
        f"{info}/WHEEL": WHEEL.encode(),
        f"{info}/entry_points.txt": ENTRY_POINTS.encode(),
    }
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)  # dated 1980, as every time
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return f"{NAME}-{version}-py3-none-any.whl", buffer.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
