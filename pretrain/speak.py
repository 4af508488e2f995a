"""Words by many synthetic voices: `python -m pretrain.speak NAME`, NAME being espeak or kokoro.

Writes pretrain/work/spoken/NAME.npy, all words end to end, int16 at 16 kHz, and NAME.csv, one row a word.
"""

import csv
import sys
from functools import partial
from pathlib import Path

import numpy as np

from kws.audio import to_int16
from kws.parallel import map_blocks
from pretrain.voices import speak

SPOKEN, SPEECH = Path("pretrain/work/spoken"), Path("pretrain/work/speech")
"""Words one by one, and speech of any kind."""
COUNT = {"espeak": 20000, "kokoro": 4300}
"""Words that each speaks: its list again and again."""


def main(name: str) -> None:
    """Speak all words in turn, again and again."""
    spoken = [item for block in map_blocks(partial(speak, name), COUNT[name]) for item in block]
    SPOKEN.mkdir(parents=True, exist_ok=True)
    np.save(SPOKEN / f"{name}.npy", to_int16(np.concatenate([audio for _, audio in spoken])))
    with (SPOKEN / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["language", "word", "voice", "samples"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"samples": str(len(audio))} for row, audio in spoken)


if __name__ == "__main__":
    main(sys.argv[1])
