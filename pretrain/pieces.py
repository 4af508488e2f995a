"""Pieces of speech that are no words: `python -m pretrain.pieces` writes pretrain/work/spoken/pieces.npy.

They are cut out of pretrain/work/speech.
"""

import numpy as np

from kws.augment.noise import power
from kws.augment.sources import read_bank
from kws.common.seeding import rng
from pretrain.speak import SPEECH, write
from pretrain.voices import RATE, Spoken

COUNT = 4000
SECONDS = (0.3, 1.0)
LEAST = 0.1
"""Of the power of its file, that a piece must have not to be a pause."""


def main() -> None:
    """Write pieces of any speech, each as loud as a word."""
    bank = read_bank(SPEECH, RATE)
    spoken: list[Spoken] = []
    for index in range(COUNT):
        random = rng(1, "pieces", index)
        name = bank.names[random.integers(len(bank.names))]
        whole = bank.segment(name, 0, bank.length(name))
        length = round(random.uniform(*SECONDS) * RATE)
        start = int(random.integers(max(1, len(whole) - length)))
        piece = whole[start : start + length]
        if power(piece) > LEAST * power(whole):
            loud = piece * np.float32(0.9 / max(np.abs(piece).max(), 1e-4))
            spoken.append(({"language": "", "word": "", "voice": name}, loud))
    write("pieces", spoken)


if __name__ == "__main__":
    main()
