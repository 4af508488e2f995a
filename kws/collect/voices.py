"""Words said by a synthesiser's voices, in the layout of `data.voices`: `<voice>/<LABEL>.wav`."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from kws.common.errors import UserError
from kws.common.files import replacing
from kws.common.labels import same_folder, wrong_name
from kws.common.programs import last_line, run

SHORTEST_S = 0.05
"""Of a sound that may be a word."""


class Engine(StrEnum):
    """Who speaks."""

    espeak = "espeak"
    flite = "flite"
    kokoro = "kokoro"
    piper = "piper"


@dataclass(frozen=True)
class Synthesiser:
    """A program that says a text: how it is called, and how one gets it."""

    program: str
    get: str
    command: Callable[[str, str, str, Path, Path], list[str]]
    """from voice, language, text, a file that holds the text, and the WAV to write"""
    voices: tuple[str, ...] = ()
    """that speak where none is named"""
    named: str = ""
    """what a voice is called, where one must be named"""
    needs_language: bool = True
    only: str = ""
    """language that it speaks, where it speaks one alone"""
    listing: tuple[str, ...] = ()
    """command that tells its voices, where it would speak with another one rather than refuse"""
    listed: str = ""
    """pattern of a voice in what that tells"""
    timeout_s: float = 600.0
    """of one word; some load a network each time, and fetch it the first time"""


KOKORO = {"en": "a", "en-us": "a", "en-gb": "b", "es": "e", "fr": "f", "hi": "h", "it": "i", "ja": "j"}
KOKORO |= {"pt": "p", "pt-br": "p", "zh": "z"}
"""Its own letters for languages."""


def _espeak(voice: str, language: str, text: str, source: Path, wav: Path) -> list[str]:
    return ["espeak-ng", "-v", f"{language}+{voice}", "-w", str(wav), "--", text]


def _flite(voice: str, language: str, text: str, source: Path, wav: Path) -> list[str]:
    return ["flite", "-voice", voice, "-f", str(source), "-o", str(wav)]


def _kokoro(voice: str, language: str, text: str, source: Path, wav: Path) -> list[str]:
    letter = KOKORO.get(language.lower(), language)
    return ["kokoro", "-m", voice, "-l", letter, "-i", str(source), "-o", str(wav)]


def _piper(voice: str, language: str, text: str, source: Path, wav: Path) -> list[str]:
    # from a file: of arguments it would also say the `--` before them
    model, _, speaker = voice.partition("#")
    chosen = ["-s", speaker] if speaker else []
    return ["piper", "-m", model, *chosen, "-i", str(source), "-f", str(wav)]


SYNTHESISERS = {
    Engine.espeak: Synthesiser(
        "espeak-ng",
        "apt install espeak-ng, or brew install espeak-ng",
        _espeak,
        ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m7"),
        listing=("espeak-ng", "--voices=variant"),
        listed=r"(?m)!v/(\S+)\s*$",
        timeout_s=60,
    ),
    Engine.flite: Synthesiser(
        "flite",
        "apt install flite",
        _flite,
        ("awb", "kal", "kal16", "rms", "slt"),
        needs_language=False,
        only="en",
        listing=("flite", "-lv"),
        listed=r"(?<= )\w+(?= )",
        timeout_s=60,
    ),
    Engine.kokoro: Synthesiser("kokoro", "pip install kokoro", _kokoro, named="ef_dora"),
    Engine.piper: Synthesiser(
        "piper", "pip install piper-tts", _piper, named="es_ES-davefx-medium.onnx", needs_language=False
    ),
}


def texts(labels: Sequence[str], say: Sequence[str]) -> dict[str, str]:
    """Return what is said for each label: its name in small letters, or as `LUZ=la luz` has it.

    Raises UserError for a label that there is not, and where there is nothing to say.
    """
    found = {label: re.sub(r"[_-]+", " ", label).strip().lower() for label in labels}
    known = {same_folder(label): label for label in labels}
    for argument in say:
        name, equals, text = argument.partition("=")
        label = known.get(same_folder(name))
        if not equals or label is None:
            known_ones = " ".join(labels)
            raise UserError(f"--say {argument}: expected LABEL='its words', LABEL being one of {known_ones}")
        found[label] = text.strip()
    for label, text in found.items():
        if not text or not text.isprintable():
            raise UserError(f"--say {label}={text}: expected words on one line")
    return found


def speak(
    folder: Path, said: dict[str, str], engine: Engine, language: str | None, voices: Sequence[str] = ()
) -> Iterator[tuple[Path, bool]]:
    """Have every voice say every label; yield each file below `folder`, and whether it is new.

    What is there already stays. Raises UserError where the program is absent, fails, or says nothing.
    """
    synthesiser = SYNTHESISERS[engine]
    chosen = list(dict.fromkeys(voices or synthesiser.voices))
    if not chosen:
        raise UserError(f"--engine {engine}: name voices that it has, as --voice {synthesiser.named}")
    if synthesiser.needs_language and not language:
        raise UserError(f"--engine {engine}: say the language of the words, as --language es")
    if synthesiser.only and not (language or synthesiser.only).lower().startswith(synthesiser.only):
        raise UserError(
            f"--language {language}: {engine} speaks {synthesiser.only} alone; try another --engine"
        )
    if shutil.which(synthesiser.program) is None:
        raise UserError(f"{synthesiser.program}: not found; {synthesiser.get}, or try another --engine")
    if synthesiser.listing:
        _check_known(synthesiser, chosen)
    spoken = "" if language is None else language
    places = {voice: folder / _folder_name(engine, spoken, voice) for voice in chosen}
    if len(set(map(str, places.values()))) < len(places):
        raise UserError(f"--voice {' '.join(chosen)}: two of them would be one folder; name them apart")
    for voice, place in places.items():
        for label, text in said.items():
            wav = place / f"{label}.wav"
            new = not wav.exists()
            if new:
                _say(synthesiser, voice, spoken, text, wav)
            yield wav, new


def _say(synthesiser: Synthesiser, voice: str, language: str, text: str, wav: Path) -> None:
    with TemporaryDirectory(prefix="kws_voices_") as work:
        source, spoken = Path(work) / "text.txt", Path(work) / "spoken.wav"
        source.write_text(text + "\n", encoding="utf-8")
        done = run(synthesiser.command(voice, language, text, source, spoken), synthesiser.timeout_s)
        if not done.ok or not spoken.is_file():
            how = done.how() if not done.ok else "wrote no file"
            told = last_line(done.err or done.out)
            raise UserError(f"{synthesiser.program} {how} for voice {voice}: {told}")
        try:
            audio, rate = soundfile.read(spoken, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise UserError(f"{synthesiser.program}: wrote no WAV for voice {voice} ({error})") from error
        if len(audio) < SHORTEST_S * rate or not np.any(audio):
            raise UserError(f"{synthesiser.program}: voice {voice} says nothing for {text!r}; see --say")
        with replacing(wav) as partial:
            shutil.copyfile(spoken, partial)


def _check_known(synthesiser: Synthesiser, chosen: Sequence[str]) -> None:
    """Raise UserError for a voice that a program has not: it would take another one and say nothing."""
    done = run(list(synthesiser.listing), 60)
    known = set(re.findall(synthesiser.listed, done.out.decode("utf-8", "replace")))
    if not done.ok or not known:
        told = f"{' '.join(synthesiser.listing)} {done.how()}: {last_line(done.err)}"
        raise UserError(f"{told}; install it again")
    if unknown := [voice for voice in chosen if voice not in known]:
        some = " ".join(sorted(known)[:40])
        raise UserError(f"--voice {unknown[0]}: {synthesiser.program} has no such voice, but {some}")


def _folder_name(engine: Engine, language: str, voice: str) -> str:
    """Return what a voice's folder is called; UserError where it cannot be one."""
    model, _, speaker = voice.partition("#")
    own = Path(model).name.removesuffix(".onnx")
    accent = language if engine is Engine.espeak else ""
    name = "-".join(part for part in (engine.value, accent, own, speaker and f"speaker{speaker}") if part)
    if wrong := wrong_name(name, "the folder of a voice"):
        raise UserError(f"--voice {voice}: {wrong}")
    return name
