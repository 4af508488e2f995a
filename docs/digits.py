"""The Free Spoken Digit Dataset laid out for one source: `python -m docs.digits RECORDINGS OUT`.

RECORDINGS holds `<digit>_<speaker>_<take>.wav`. OUT gets a folder for each speaker: `seeds` with one take
of each digit by this speaker and the shipped backgrounds, `eval` with takes 0 to 4 of all others.

    dvc exp run --queue -n digits-jackson -S experiment=digits \
        -S data.seeds=OUT/jackson/seeds -S data.eval=OUT/jackson/eval

Dataset: Jackson et al., "Free Spoken Digit Dataset", CC-BY-SA-4.0.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
BACKGROUND = Path(__file__).parent.parent / "data/seeds/FONDO"
TAKES = range(5)
SILENCE_S = 0.1


def main(recordings: Path, out: Path) -> None:
    """Lay out one source folder for each speaker."""
    found = {path: path.stem.split("_") for path in sorted(recordings.glob("*_*_*.wav"))}
    speakers = sorted({speaker for _, speaker, _ in found.values()})
    for source in speakers:
        shutil.copytree(BACKGROUND, out / source / "seeds/FONDO", dirs_exist_ok=True)
        for path, (digit, speaker, take) in found.items():
            name = DIGITS[int(digit)]
            if speaker == source and int(take) == 0:
                _copy(path, out / source / "seeds" / name / f"{take}.wav")
            elif speaker != source and int(take) in TAKES:
                _copy(path, out / source / "eval/words" / name / f"{speaker}_{take}.wav")
    print(" ".join(speakers))


def _copy(path: Path, to: Path) -> None:
    """Copy a recording with silence around it: the data set is cut so close that some take under 0.2 s."""
    audio, rate = soundfile.read(path)
    to.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(to, np.pad(audio, round(SILENCE_S * rate)), rate)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
