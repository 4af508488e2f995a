"""Recordings of people laid out for one source: `python -m docs.people FOLDER SET HALF N TALK OUT`.

FOLDER is as in benchmarks/people.py, SET one of its sets (`arabic`, `picovoice`, or the folder's own name),
HALF `choose` or `report`: every other speaker. Speaker N of this half is the source: OUT gets `seeds` with
one recording of each keyword and the shipped backgrounds, `eval` with up to TAKES of each word by all others
of the half, and `talk` with links to the recordings in TALK, in which nobody says a keyword. Every second
word is a keyword, the others are near misses; in a set of wake words (WAKE) all are keywords, and each is
recorded by the Nth who said it. Prints what to run.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.people import HALVES, RATE, read_clips
from docs.digits import BACKGROUND, DIGITS, SILENCE_S
from kws.common.types import Audio
from kws.recordings.audio import audio_files

WAKE = {"picovoice"}
TAKES = 5

Clips = dict[str, dict[str, list[Audio]]]
"""By word and speaker."""


def of_half(folder: Path, name: str, half: str) -> Clips:
    """Return the clips of a set by every other speaker."""
    found = [(word, speaker, audio) for of, word, speaker, audio in read_clips(folder) if of == name]
    kept = sorted({speaker for _, speaker, _ in found})[HALVES.index(half) :: 2]
    clips: defaultdict[str, defaultdict[str, list[Audio]]] = defaultdict(lambda: defaultdict(list))
    for word, speaker, audio in found:
        if speaker in kept:
            clips[word][speaker].append(audio)
    return {word: dict(sorted(clips[word].items())) for word in sorted(clips)}


def label_of(word: str) -> str:
    """Return the label of a word, or of a digit written as such."""
    return DIGITS[int(word)] if word.isdecimal() else word.upper().replace(" ", "_")


def lay_out(clips: Clips, keywords: list[str], n: int, out: Path) -> None:
    """Write what one source recorded, and what all others say."""
    sources = {word: list(clips[word])[n] for word in keywords}
    (out / "seeds").mkdir(parents=True)
    (out / "seeds/FONDO").symlink_to(BACKGROUND)
    for word, by in clips.items():
        label = label_of(word)
        if word in keywords:
            _write(out / "seeds" / label / "000.wav", by[sources[word]][0])
        for speaker, takes in by.items():
            for take, audio in enumerate(takes[:TAKES]):
                if speaker in sources.values():
                    continue
                if word in keywords:
                    _write(out / "eval/words" / label / f"{speaker}_{take}.wav", audio)
                else:
                    _write(out / "eval/near_misses" / speaker / f"{label.lower()}_{take}.wav", audio)


def _write(path: Path, audio: Audio) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.pad(audio, round(SILENCE_S * RATE)), RATE)


def main(folder: Path, name: str, half: str, n: int, talk: Path, out: Path) -> None:
    """Lay out one source."""
    clips = of_half(folder, name, half)
    keywords = list(clips) if name in WAKE else list(clips)[::2]
    lay_out(clips, keywords, n, out)
    (out / "talk").mkdir()
    for path in audio_files(talk, besides=("talk.csv",)):
        (out / "talk" / path.name).symlink_to(path.resolve())
    labels = ",".join(["FONDO", *map(label_of, keywords)])
    print(
        f"dvc exp run -n {out.name} -S experiment=people -S 'labels=[{labels}]' "
        f"-S data.seeds={out}/seeds -S data.eval={out}/eval -S data.streams={out}/talk"
    )


if __name__ == "__main__":
    folder_, name_, half_, n_, talk_, out_ = sys.argv[1:]
    main(Path(folder_), name_, half_, int(n_), Path(talk_), Path(out_))
