"""Noise to hear words through: `python -m pretrain.noises FOLDER…` writes pretrain/work/noises/.

FOLDER is one of music or of sounds. The shipped encoder had, of Debian's packages, wesnoth-1.16-music and
warzone2100-music (/usr/share/games/wesnoth/1.16/data/core/music, /usr/share/games/warzone2100/music),
asterisk-moh-opsound-wav (/usr/share/asterisk/moh) and the animals of tuxpaint-stamps-default
(/usr/share/tuxpaint/stamps). Babble is added, several people of pretrain/work/speech who talk at once, and
the shipped backgrounds.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile

from kws.augment.noise import power
from kws.common.errors import UserError
from kws.common.seeding import rng
from kws.common.types import Audio
from kws.params.whole import load_params
from kws.recordings.audio import audio_files, read_audio
from pretrain.speak import SPEECH
from pretrain.voices import RATE

NOISES = Path("pretrain/work/noises")
SUFFIXES, TALK = (".ogg", ".opus", ".wav"), re.compile("_desc|/symbols/")
"""Of files that are taken, and in the paths of those that are not: pictures and letters are said."""
PIECE = 20 * RATE
"""Samples in a file, and the most that is taken of one."""
BABBLES, TALKERS = 60, (3, 9)
"""How many files of babble, and how many talk in each."""


def main(folders: list[Path]) -> None:
    """Write noise of all kinds."""
    NOISES.mkdir(parents=True, exist_ok=True)
    for number, folder in enumerate(folders):
        files = sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES and not TALK.search(p.as_posix()))
        audio = np.concatenate([even(middle(noise)) for noise in readable(files)])
        for index, start in enumerate(range(0, len(audio), PIECE)):
            soundfile.write(
                NOISES / f"{number}_{folder.name}_{index:03d}.flac", audio[start : start + PIECE], RATE
            )
    talk = audio_files(SPEECH)
    for index in range(BABBLES):
        random = rng(1, "babble", index)
        voices = [line(talk, random) for _ in range(random.integers(*TALKERS))]
        soundfile.write(NOISES / f"babble_{index:03d}.flac", even(np.sum(voices, axis=0)), RATE)
    shutil.copytree(
        Path("data/seeds") / load_params(Path("params.yaml")).background, NOISES, dirs_exist_ok=True
    )


def readable(files: list[Path]) -> Iterator[Audio]:
    """Yield what is in files, but for those that are cut off."""
    for path in files:
        with suppress(UserError):
            yield read_audio(path, RATE)


def middle(audio: Audio) -> Audio:
    """Return the middle of a recording, at most PIECE."""
    start = max(0, len(audio) - PIECE) // 2
    return audio[start : start + PIECE]


def even(audio: Audio) -> Audio:
    """Return audio at a tenth of full scale."""
    scaled: Audio = 0.1 * audio / np.sqrt(power(audio) + 1e-9)
    return np.clip(scaled, -1, 1).astype(np.float32)


def line(talk: list[Path], random: np.random.Generator) -> Audio:
    """Return PIECE of speech, one recording after another."""
    parts: list[Audio] = []
    while sum(map(len, parts)) < PIECE:
        parts.append(even(read_audio(talk[random.integers(len(talk))], RATE)))
    return np.concatenate(parts)[:PIECE]


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
