"""Some of the words as negatives for users: `python -m pretrain.negatives` writes data/negatives/words/.

Eight words a file, each at its own level and with a pause after it, in the order in which they were spoken.
"""

from pathlib import Path

import numpy as np
import soundfile

from kws.augment.placement import fade_edges
from kws.common.seeding import rng
from kws.recordings.audio import to_float
from pretrain.spoken import read_spoken
from pretrain.voices import RATE

OUT = Path("data/negatives/words")
FILES = {"espeak": 132, "kokoro": 132}
WORDS = 8
PAUSE_S, LEVEL_DB = (0.1, 0.5), (-12, 0)


def main() -> None:
    """Write FILES of each synthesiser."""
    OUT.mkdir(parents=True, exist_ok=True)
    for synthesiser, count in FILES.items():
        bank, _ = read_spoken(f"{synthesiser}_words")
        names = bank.names[: count * WORDS]
        for number in range(count):
            random, parts = rng(1, f"negatives {synthesiser}", number), []
            for name in names[number * WORDS : (number + 1) * WORDS]:
                start, stop = bank.offsets[name]
                gain = np.float32(10 ** (random.uniform(*LEVEL_DB) / 20))
                pause = np.zeros(round(random.uniform(*PAUSE_S) * RATE), np.float32)
                parts += [gain * fade_edges(to_float(bank.samples[start:stop])), pause]
            path = OUT / f"{synthesiser}_{number:03d}.ogg"
            soundfile.write(path, np.concatenate(parts), RATE, format="OGG", subtype="OPUS")


if __name__ == "__main__":
    main()
