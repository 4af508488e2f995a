"""Whose recording is this: what one voice says stands or falls together."""

import re
from pathlib import PurePath


def voice_of(recording: PurePath) -> str:
    """Return the voice of `<voice>/*`, `<voice>.*`, or of a take of it, `<voice>_<n>.*` or `<voice>-<n>.*`.

    `recording` is the path below the folder that voices lie in, as `words/<LABEL>`, `near_misses` or `talk`.
    """
    return recording.parts[0] if len(recording.parts) > 1 else re.sub(r"[_-]\d+$", "", recording.stem)
