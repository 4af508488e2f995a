"""Words and short phrases of people in many languages: `python -m pretrain.bank FOLDER`.

FOLDER holds `people.csv` (file, start, end, word, language, speaker) and the sound files that it names. The
shipped encoder heard words of these public sources: GCompris-voices, the Arabic speech commands dataset, the
WUW corpus II, audio-cmn (Shtooka), ktuberling, artikulate-data, childsplay and sugarizer. What is short
enough for a clip becomes pretrain/work/spoken/bank.npy, all of it speech in pretrain/work/speech/bank/.
"""

import csv
import re
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np

from kws.common.parallel import map_here
from kws.common.types import Audio
from kws.recordings.audio import read_audio
from pretrain.speak import write, write_speech
from pretrain.stamps import KEPT_OUT, plain
from pretrain.voices import RATE, Spoken, cut

ROMANCE = {"es", "ca", "ast", "gl", "pt", "pt_BR", "it"}
"""Languages in which a word that means what a keyword means may be the keyword."""
MEANS_A_KEYWORD = re.compile(
    r"\b(attach|begin|beginning|cancel|climb|contain|contin\w*|copy|couple|exit|go_out|hang|hello|hook|kitchen"
    r"|leave|lift|morning|music|open|out|outof|phone|prince|raise|repeat|share|sing|song|start|telephone|thank\w*"
    r"|tomorrow|up|wash|window)\b"
)
"""English keys of such words, and of the near misses of the evaluation."""
DIGIT = re.compile(r"U003\d|\b\d\b")
"""Keys of digits that are not spelt."""

Row = dict[str, str]


def main(folder: Path) -> None:
    """Write words and speech, one sound file after another."""
    files: defaultdict[str, list[Row]] = defaultdict(list)
    with (folder / "people.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if may_be_heard(row["language"], row["word"]):
                files[row["file"]].append(row)
    names = sorted(files)
    blocks = map_here(partial(read, folder, [files[name] for name in names]), len(names), block=1)
    spoken: list[Spoken] = []
    for name, (words, speech) in zip(names, blocks, strict=True):
        spoken += words
        write_speech(f"bank/{Path(name).stem}", speech)
    write("bank", spoken)


def may_be_heard(language: str, word: str) -> bool:
    """Say whether a word may be learned from: no keyword, near miss of the evaluation or English digit."""
    said = plain(word.rpartition("/")[2].replace("-", " "))
    if language.startswith("en") and DIGIT.search(word):
        return False
    if language in ROMANCE and MEANS_A_KEYWORD.search(said):
        return False
    return not KEPT_OUT.search(said.replace("_", " "))


def same_word(language: str, word: str) -> tuple[str, str]:
    """Return language and word by one name for all: each source has its own way to name words."""
    name = word.rpartition("/")[2].lower().removeprefix("kt_").replace("_", " ")
    return language.partition("_")[0], name


def read(folder: Path, files: list[list[Row]], indices: range) -> tuple[list[Spoken], Audio]:
    """Return the words of a sound file that are short enough, and all that is said in it, end to end."""
    (rows,) = (files[index] for index in indices)
    audio = read_audio(folder / rows[0]["file"], RATE)
    said = [audio[round(float(row["start"]) * RATE) : round(float(row["end"]) * RATE)] for row in rows]
    known = [(*same_word(row["language"], row["word"]), row["speaker"]) for row in rows]
    heard = ((*one, part) for one, part in zip(known, said, strict=True))
    return cut(heard), np.concatenate(said)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
