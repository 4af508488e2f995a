"""Synthetic voices, each saying a word in a way that is drawn from the word's number.

`espeak` is the program espeak-ng, `flite` the program flite, whose voices are built from recordings of four
American and Scottish people. `kokoro` is Kokoro-82M by ONNX Runtime: the folder in KOKORO holds its
`model.onnx`, `vocab.json` and `voices/*.bin`, float32 [510, 1, 256] each.
"""

import csv
import io
import json
import os
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import soundfile
import soxr

from kws.common.seeding import rng
from kws.common.types import Audio
from kws.recordings.word import find_word

RATE, LONGEST_S = 16000, 1.1
DISTINCT = {"kokoro": 800}
"""Words that it says, from the start of the list: a neural voice takes a second of computing for each."""
BLENDED = 0.65
"""Share of Kokoro's words that are spoken by a mixture of two voices."""
HELD_OUT = {
    *("af_aoede", "af_heart", "af_kore", "af_river", "af_sarah"),
    *("am_echo", "am_fenrir", "am_michael", "am_puck", "am_santa"),
    *("em_alex", "em_santa", "pm_alex", "pm_santa"),
}
"""Kokoro's voices that evaluation speaks with, the voice of the shipped recordings, and voices like these."""
ACCENTS = {
    "es": ["es", "es-419", "ca", "it", "pt", "pt-br", "ro"],
    "en": ["en-us", "en-gb", "en-029"],
    "it": ["it"],
    "fr": ["fr-fr", "fr-be", "fr-ch"],
    **{language: [language] for language in ("be", "bg", "ca", "da", "el", "nl", "ro", "ru")},
}
"""Of espeak-ng, which reads a word with another language's sounds too."""
ACCENT = {
    "es": ("es-419", "es", 0.75),
    "en": ("en-us", "en-gb", 0.6),
    "it": ("it", "it", 1.0),
    "fr": ("fr-fr", "fr-ch", 0.6),
    "ca": ("ca", "ca", 1.0),
    "ro": ("ro", "ro", 1.0),
}
"""Of Kokoro: the usual one, the other one, and the share of the usual one; it speaks no other languages."""
FLITE, PACE = ("awb", "kal16", "rms", "slt"), (0.75, 1.3)
"""Voices of flite, and what their words' lengths are multiplied by."""
EFFECTS = ("whisper", "whisperf", "robosoft")
"""Variants of espeak-ng that are no voices: their names begin so."""

Spoken = tuple[dict[str, str], Audio]


def words() -> list[tuple[str, str]]:
    """Return languages and words to say: no keyword, near miss of the evaluation or English digit."""
    with Path(__file__).with_name("words.csv").open(encoding="utf-8") as file:
        return [(row["language"], row["word"]) for row in csv.DictReader(file)]


def espeak(index: int, language: str, word: str) -> tuple[str, Audio]:
    """Speak word `index` with a variant of a formant voice."""
    random = rng(1, "espeak", index)
    voice = f"{random.choice(ACCENTS[language])}+{random.choice(variants())}"
    pitch, speed = str(random.integers(15, 86)), str(random.integers(115, 211))
    command = ["espeak-ng", "-v", voice, "-p", pitch, "-s", speed, "--stdout", word]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    audio, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    return voice, soxr.resample(audio, rate, RATE)


@cache
def variants() -> list[str]:
    """Return espeak-ng's variants of a voice."""
    command = ["espeak-ng", "--voices=variant"]
    table = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    names = [line.split("!v/")[1].split()[0] for line in table if "!v/" in line]
    return sorted(name for name in names if not name.startswith(EFFECTS))


def flite(index: int, language: str, word: str) -> tuple[str, Audio]:
    """Speak word `index` with a voice of flite, which knows English alone."""
    random = rng(1, "flite", index)
    voice, pace = str(random.choice(FLITE)), f"duration_stretch={random.uniform(*PACE):.2f}"
    command = ["flite", "-voice", voice, "--setf", pace, "-t", word, "-o", "/dev/stdout"]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    audio, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    return voice, soxr.resample(audio, rate, RATE)


def kokoro(index: int, language: str, word: str) -> tuple[str, Audio]:
    """Speak word `index` with a neural voice or a mixture of two."""
    session, vocabulary, voices = kokoro_model()
    random = np.random.default_rng([7, index])
    one, other = random.choice(sorted(voices), 2, replace=False)
    share = random.uniform() if random.random() < BLENDED else 1.0
    speed = random.uniform(0.85, 1.3)
    usual, other_accent, chance = ACCENT[language]
    accent = usual if random.random() < chance else other_accent
    command = ["espeak-ng", "-q", "--ipa", "-v", accent, word]
    phonemes = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    tokens = [vocabulary[symbol] for symbol in phonemes if symbol in vocabulary]
    style = share * voices[one][len(tokens)] + (1 - share) * voices[other][len(tokens)]
    feed = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        "style": style[None].astype(np.float32),
        "speed": np.array([speed], np.float32),
    }
    audio = soxr.resample(session.run(None, feed)[0].ravel(), 24000, RATE)
    return one if share == 1 else f"{share:.2f} {one} {other}", audio


@cache
def kokoro_model() -> tuple[ort.InferenceSession, dict[str, int], dict[str, Audio]]:
    """Load the model, its symbols and the voices that may be used."""
    folder = Path(os.environ["KOKORO"])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    files = [path for path in (folder / "voices").glob("*.bin") if path.stem not in HELD_OUT]
    return session, vocabulary, {path.stem: np.fromfile(path, np.float32).reshape(-1, 256) for path in files}


SYNTHESISERS: dict[str, Callable[[int, str, str], tuple[str, Audio]]] = {
    "espeak": espeak,
    "flite": flite,
    "kokoro": kokoro,
}
LANGUAGES = {"espeak": ACCENTS.keys(), "flite": {"en"}, "kokoro": ACCENT.keys()}


def speak(name: str, indices: range) -> list[Spoken]:
    """Return words of one synthesiser, by their numbers: what was said and how, and the word cut out."""
    known = [(language, word) for language, word in words() if language in LANGUAGES[name]]
    vocabulary, say = known[: DISTINCT.get(name)], SYNTHESISERS[name]
    numbered = [(index, *vocabulary[index % len(vocabulary)]) for index in indices]
    return cut((language, word, *say(index, language, word)) for index, language, word in numbered)


def cut(said: Iterable[tuple[str, str, str, Audio]]) -> list[Spoken]:
    """Return what was said and how, and the word cut out, of (language, word, voice, audio).

    A word that is too long for a clip is left out.
    """
    spoken: list[Spoken] = []
    for language, word, voice, audio in said:
        loud = audio * np.float32(0.9 / max(np.abs(audio).max(), 1e-4))
        found = loud[find_word(loud, RATE, LONGEST_S)]
        if 0.15 * RATE <= len(found) <= LONGEST_S * RATE:
            spoken.append(({"language": language, "word": word, "voice": voice}, found))
    return spoken
