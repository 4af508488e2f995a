"""Words by many synthetic voices: `python -m pretrain.speak NAME`, NAME being espeak, flite or kokoro.

They say words.csv. Writes pretrain/work/spoken/NAME_words.npy, all words end to end, int16 at 16 kHz, and
NAME_words.csv, one row a word.
"""

import csv
import sys
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from kws.common.parallel import map_here
from kws.common.types import Audio, Pcm
from kws.recordings.audio import to_int16
from pretrain.voices import RATE, Spoken, speak

SPOKEN, SPEECH = Path("pretrain/work/spoken"), Path("pretrain/work/speech")
"""Words one by one, and speech of any kind."""
COUNT = {"espeak": 8000, "flite": 4000, "kokoro": 4300}
"""Words that each speaks: the list again and again."""
PIECE = 5 * RATE
"""Samples in a file of speech."""


def main(name: str) -> None:
    """Speak all words in turn, again and again."""
    spoken = [item for block in map_here(partial(speak, name), COUNT[name]) for item in block]
    write(f"{name}_words", spoken)


def write(name: str, spoken: list[Spoken]) -> None:
    """Write words and what is known of them."""
    SPOKEN.mkdir(parents=True, exist_ok=True)
    np.save(SPOKEN / f"{name}.npy", to_int16(np.concatenate([audio for _, audio in spoken])))
    with (SPOKEN / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["language", "word", "voice", "samples"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"samples": str(len(audio))} for row, audio in spoken)


def write_speech(name: str, audio: Audio | Pcm) -> None:
    """Write speech of any kind in pieces SPEECH/NAME_0000.flac and so on, but for what is left over."""
    (SPEECH / name).parent.mkdir(parents=True, exist_ok=True)
    for index, start in enumerate(range(0, len(audio) - PIECE + 1, PIECE)):
        soundfile.write(SPEECH / f"{name}_{index:04d}.flac", audio[start : start + PIECE], RATE)


if __name__ == "__main__":
    main(sys.argv[1])
