"""People who say what a picture shows: `python -m pretrain.stamps STAMPS`, STAMPS a folder of them.

STAMPS is /usr/share/tuxpaint/stamps with Debian's tuxpaint-stamps-default (GPL-2): 7,200 recordings in eleven
languages with their text. Those short enough for a clip become pretrain/work/spoken/stamps.npy; all become
speech, in pretrain/work/speech/stamps/.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kws.augment.noise import power
from kws.common.types import Audio
from kws.recordings.audio import read_audio
from kws.recordings.word import find_word
from pretrain.speak import write, write_speech
from pretrain.voices import LONGEST_S, RATE, cut

LANGUAGES = ("be", "bg", "ca", "da", "el", "en", "es", "fr", "nl", "ro", "ru")
KEPT_OUT = re.compile(
    r"\b(acopl|cancel|contin|conten|levant|lavad|princip|repet|repit|repart|sal[ei]|salgo|abiert|cant|cocin|copi"
    r"|graci|hola|manan|music|sub[ei]|telefon|ventan|(zero|one|two|three|four|five|six|seven|eight|nine)\b)"
)
"""How keywords, near misses of the evaluation and English digits begin, without accents."""
SECONDS_A_LETTER = (0.035, 0.2)
WHOLE = 0.95
"""Share of a recording's energy that must be in what is taken for the phrase."""


def main(stamps: Path) -> None:
    """Write phrases and speech."""
    recordings = list(read(stamps))
    phrases = [item for item in recordings if says_its_text(item[1], item[3])]
    write("stamps", cut(phrases))
    for language in LANGUAGES:
        said = [audio for spoken, _, _, audio in recordings if spoken == language]
        write_speech(f"stamps/{language}", np.concatenate(said))


def read(stamps: Path) -> Iterator[tuple[str, str, str, Audio]]:
    """Yield language, text, speaker and audio, but for what is kept out."""
    for path in sorted(stamps.rglob("*_desc*.ogg")):
        name, _, language = path.stem.partition("_desc")
        language = language.removeprefix("_") or "en"
        texts = path.with_name(f"{name}.txt")
        if language not in LANGUAGES or not texts.exists():
            continue
        english, *others = texts.read_text(encoding="utf-8", errors="replace").splitlines()
        named = {"en": english} | dict(line.split(".utf8=", 1) for line in others if ".utf8=" in line)
        if (text := named.get(language, "").strip(" .!¡")) and not KEPT_OUT.search(plain(text)):
            yield language, text, f"stamps {language}", read_audio(path, RATE)


def plain(text: str) -> str:
    """Return a text in small letters without accents."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def says_its_text(text: str, audio: Audio) -> bool:
    """Say whether a phrase is short enough for a clip and as long as its text, without a pause."""
    said = audio[find_word(audio, RATE, LONGEST_S)]
    low, high = SECONDS_A_LETTER
    letters = sum(letter.isalpha() for letter in text)
    fits = low * letters <= len(said) / RATE <= min(high * letters, LONGEST_S)
    return fits and power(said) * len(said) >= WHOLE * power(audio) * len(audio)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
