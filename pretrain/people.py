"""Recordings of people to learn from: `python -m pretrain.people SOUNDS` writes pretrain/work/speech/.

SOUNDS is /usr/share/asterisk/sounds with Debian's asterisk-core-sounds-{en,es,fr,it,ru}-g722 and
asterisk-prompt-it-menardi-wav (CC-BY-SA): announcements by five speakers in five languages, two hours.
English digits, and Spanish menus, where a keyword may be said, are left out. Decoding needs PyAV:
`uv pip install av`.
"""

import re
import sys
from pathlib import Path

import av
import numpy as np

from kws.common.types import Pcm
from kws.recordings.audio import read_audio, to_int16
from pretrain.speak import write_speech
from pretrain.voices import RATE

LEFT_OUT = {
    "en_US_f_Allison": re.compile("digits/"),
    "es_MX_f_Allison": re.compile(
        "vm-|minivm|conf|dir-|agent|follow|screen|priv|demo|hello|queue|dictate|call|tt-|spy|ss-|one-moment"
        "|please|pbx|press|main|cancel|repeat|exit"
    ),
}
"""By speaker: how the names of these recordings begin."""
NONE = re.compile("silence")


def main(sounds: Path) -> None:
    """Write what each speaker says, end to end and cut into pieces."""
    for folder in sorted(path for path in sounds.iterdir() if path.is_dir()):
        named = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*.[gw]*"))}
        left_out = LEFT_OUT.get(folder.name, NONE)
        parts = [read(path) for name, path in named.items() if not (left_out.match(name) or NONE.match(name))]
        write_speech(f"people/{folder.name}", np.concatenate(parts) if parts else np.zeros(0, np.int16))


def read(path: Path) -> Pcm:
    """Return int16 [samples] at RATE of a WAV file or of G.722, which has no header; others hold nothing."""
    if path.suffix == ".wav":
        return to_int16(read_audio(path, RATE))
    if path.suffix != ".g722" or path.stat().st_size == 0:
        return np.zeros(0, np.int16)
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.int16) if frames else np.zeros(0, np.int16)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
