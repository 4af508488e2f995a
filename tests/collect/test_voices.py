"""`kws voices` has synthesisers say words, in the layout of data.voices; what goes wrong is one line."""

import shutil
import sys
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from conftest import SEEDS
from kws.augment.sources import word_files
from kws.cli import app, cli
from kws.collect.voices import Engine, speak, texts
from kws.common.errors import UserError
from kws.recordings.names import unmatched
from kws.recordings.verdict import judge
from standins.install import HERE, install, script

espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")

flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


@pytest.fixture
def my(tmp_path) -> Path:
    """A folder with recordings of two words and a background."""
    for seed, label in (("SALIR", "LUZ"), ("REPETIR", "BUENOS_DÍAS"), ("FONDO", "FONDO")):
        shutil.copytree(SEEDS / seed, tmp_path / "my/seeds" / label)
    return tmp_path / "my"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Stand-ins for kokoro and piper, and nothing else on PATH that speaks."""
    found = install(tmp_path / "standins")
    for name in ("kokoro", "piper"):
        script(found.bin / name, f'exec {sys.executable} {HERE}/synthesiser.py {name} "$@"')
    monkeypatch.setenv("PATH", f"{found.bin}:/nowhere")
    monkeypatch.setenv("KWS_STANDIN_STATE", str(found.state))
    return found


def voices(*words) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["voices", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def fails(*words) -> str:
    """The one line in which it ends."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as caught:
        patch.setattr("sys.argv", ["kws", "voices", *map(str, words)])
        app()
    assert "\n" not in str(caught.value.code)
    return str(caught.value.code)


@espeak
def test_every_voice_says_every_label_where_training_looks_for_it(my):
    told = voices(my, "--language", "es", "--voice", "f2", "--voice", "m3")
    assert "4 recordings written, 0 were there" in told
    assert "BUENOS_DÍAS.wav: buenos días" in told
    found = [path.relative_to(my / "voices").as_posix() for path in sorted((my / "voices").rglob("*.*"))]
    assert found == [
        f"espeak-es-{voice}/{label}.wav" for voice in ("f2", "m3") for label in ("BUENOS_DÍAS", "LUZ")
    ]
    assert unmatched(my / "voices", ["LUZ", "BUENOS_DÍAS"]) == []
    assert len(word_files("LUZ", my / "seeds", my / "voices")) == 1 + 2
    verdicts = [judge(my / "voices" / name, 16000, 1.5) for name in found]
    assert all(verdict.problem is None and len(verdict.words) == 1 for verdict in verdicts)
    sounds = {(my / "voices" / name).read_bytes() for name in found}
    assert len(sounds) == 4, "each is a voice of its own"


@espeak
def test_what_is_there_stays_and_what_is_missing_is_said(my):
    once = my / "voices/espeak-es-f1/LUZ.wav"
    once.parent.mkdir(parents=True)
    once.write_bytes(b"mine")
    told = voices(my, "--language", "es", "--voice", "f1", "--say", "luz=la luz", "--say", "BUENOS_DÍAS=hola")
    assert "LUZ.wav: is there already" in told
    assert "BUENOS_DÍAS.wav: hola" in told
    assert "1 recordings written, 1 were there" in told
    assert once.read_bytes() == b"mine"


@flite
def test_flite_speaks_english_by_recorded_people(my):
    told = voices(my, "--engine", "flite", "--say", "LUZ=light", "--say", "BUENOS_DÍAS=good morning")
    assert "10 recordings written, 0 were there" in told
    names = ("awb", "kal", "kal16", "rms", "slt")
    found = {my / f"voices/flite-{name}/{label}.wav" for name in names for label in ("LUZ", "BUENOS_DÍAS")}
    assert set((my / "voices").rglob("*.*")) == found
    assert all(len(judge(path, 16000, 1.5).words) == 1 for path in found)
    assert len({path.read_bytes() for path in found}) == 10


@flite
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language", "es"], "--language es: flite speaks en alone; try another --engine"),
        (["--voice", "nobody"], "--voice nobody: flite has no such voice, but awb"),
    ],
)
def test_what_flite_cannot_say_is_told(my, options, message):
    assert message in fails(my, "--engine", "flite", *options)
    assert not (my / "voices").exists()


@espeak
def test_a_text_is_no_option_and_no_command(my, tmp_path):
    said = {"LUZ": "--help", "BUENOS_DÍAS": f"$(touch {tmp_path}/made); luz"}
    found = [path for path, _ in speak(my / "voices", said, Engine.espeak, "es", ["f1"])]
    assert all(soundfile.info(path).duration > 0.2 for path in found)
    assert not (tmp_path / "made").exists()


@espeak
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language", "xx"], "espeak-ng ended with exit status 1 for voice f1: Error: The specified"),
        (["--language", "es", "--voice", "nobody"], "--voice nobody: espeak-ng has no such voice"),
        (["--language", "es", "--say", "LUZ=¡!"], "espeak-ng: voice f1 says nothing for '¡!'"),
    ],
)
def test_what_espeak_cannot_say_is_told_and_leaves_nothing(my, options, message):
    assert message in fails(my, *options)
    assert not [path for path in (my / "voices").rglob("*") if "LUZ" in path.name]
    if "xx" in options:
        assert not (my / "voices").exists()


def test_kokoro_and_piper_get_what_their_documents_ask_for(my, programs):
    voices(my, "--engine", "kokoro", "--language", "es", "--voice", "ef_dora", "--voice", "em_alex")
    voices(my, "--engine", "piper", "--voice", "/models/es_ES-sharvard-medium.onnx#1", "--say", "LUZ=-l uz")
    kokoro, piper = programs.calls("kokoro"), programs.calls("piper")
    assert [call[:4] for call in kokoro] == [
        ["-m", voice, "-l", "e"] for voice in ("ef_dora", "em_alex") for _ in range(2)
    ]
    assert [call[:4] for call in piper] == [["-m", "/models/es_ES-sharvard-medium.onnx", "-s", "1"]] * 2
    written = {path.parent.name for path in (my / "voices").rglob("LUZ.wav")}
    assert written == {"kokoro-ef_dora", "kokoro-em_alex", "piper-es_ES-sharvard-medium-speaker1"}
    rates = {p.parent.name[:6]: soundfile.info(p).samplerate for p in (my / "voices").rglob("LUZ.wav")}
    assert rates == {"kokoro": 24000, "piper-": 22050}
    lengths = {p.stem: soundfile.info(p).duration for p in (my / "voices").glob("piper*/*.wav")}
    assert lengths["LUZ"] == pytest.approx(0.5), "five letters, the first of them a hyphen"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("no voice", "piper ended with exit status 1 for voice a.onnx: ValueError: Unable to find voice"),
        ("no file", "piper wrote no file for voice a.onnx: it printed nothing"),
        ("no wav", "piper: wrote no WAV for voice a.onnx"),
        ("silence", "piper: voice a.onnx says nothing for 'buenos días'; see --say"),
    ],
)
def test_a_program_that_fails_is_told_and_leaves_nothing(my, programs, wrong, message):
    programs.go_wrong(wrong)
    assert message in fails(my, "--engine", "piper", "--voice", "a.onnx")
    assert not (my / "voices").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--language", "es"],
            "espeak-ng: not found; apt install espeak-ng, or brew install espeak-ng, or try",
        ),
        ([], "--engine espeak: say the language of the words, as --language es"),
        (["--engine", "kokoro", "--language", "es"], "name voices that it has, as --voice ef_dora"),
        (["--engine", "piper"], "name voices that it has, as --voice es_ES-davefx-medium.onnx"),
        (["--engine", "piper", "--voice", "../x y"], "--voice ../x y: the folder of a voice has letters"),
        (["--engine", "piper", "--voice", "a/x.onnx", "--voice", "b/x"], "two of them would be one folder"),
    ],
)
def test_what_is_missing_or_cannot_be_is_one_line(my, programs, options, message):
    assert message in fails(my, *options)
    assert not (my / "voices").exists()


def test_an_absent_program_says_how_to_get_it(my, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    for engine, how in (("kokoro", "pip install kokoro"), ("piper", "pip install piper-tts")):
        message = fails(my, "--engine", engine, "--language", "es", "--voice", "a")
        assert f"{engine}: not found; {how}, or try another --engine" in message


def test_a_folder_without_words_is_told(tmp_path):
    assert "no such folder" in fails(tmp_path / "my", "--language", "es")
    shutil.copytree(SEEDS / "SALIR", tmp_path / "SALIR")
    assert "holds no words" in fails(tmp_path / "SALIR", "--language", "es")


def test_a_label_is_said_as_it_reads_or_as_one_is_told():
    labels = ["LUZ", "BUENOS_DÍAS", "a-b"]
    assert texts(labels, []) == {"LUZ": "luz", "BUENOS_DÍAS": "buenos días", "a-b": "a b"}
    assert texts(labels, ["luz=la luz", "a-b=x=y"])["LUZ"] == "la luz"
    assert texts(labels, ["a-b=x=y"])["a-b"] == "x=y"
    for wrong in ("LUZ", "SOL=sol", "LUZ=", "LUZ=a\nb"):
        with pytest.raises(UserError, match=r"(?s)--say .*expected"):
            texts(labels, [wrong])
