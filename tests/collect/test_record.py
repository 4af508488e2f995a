"""Words recorded by `kws record`: PortAudio's own stream, a real terminal, real keys.

What is said is played into a null sink of PulseAudio, whose monitor is the microphone.
"""

import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from sounds import ALIKE, likeness

from conftest import RATE, ROOT, SEEDS
from pulse import pulse
from terminals import Terminal

RUN = "from kws.cli import app; app()"
LIKES = """
import sounddevice
ask = sounddevice.query_devices
def query_devices(*which, **more):
    found = ask(*which, **more)
    return found | {"default_samplerate": %d.0} if isinstance(found, dict) else found
sounddevice.query_devices = query_devices
"""
"""PortAudio says 44.1 kHz of all that PulseAudio offers; this says it of another rate."""
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))\n"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory, word):
    """Two words, one of them far too loud, and the faint noise of a room, as files to be played."""
    folder = tmp_path_factory.mktemp("sounds")
    noise = 10 ** (-60 / 20) * np.random.default_rng(0).standard_normal(120 * RATE)
    soundfile.write(folder / "noise.wav", noise, RATE)
    soundfile.write(folder / "repetir.wav", word, RATE)
    soundfile.write(folder / "left.wav", np.stack([word, 0 * word], axis=1), RATE)
    soundfile.write(folder / "loud.wav", np.clip(20 * word, -1, 1), RATE)
    return folder


@contextmanager
def recording(folder, sounds, *options, before="", noise=True, rate=48000, channels=1, environment=None):
    """Run `kws record` in a folder with params.yaml; yield its terminal and its server."""
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (folder / "server").mkdir()
    with pulse(folder / "server", rate, channels) as server:
        if noise:
            server.play(sounds / "noise.wav")
        command = [sys.executable, "-c", before + RUN, "record", *options]
        variables = server.environment | (environment or {})
        with Terminal(command, variables, folder, rows=24, columns=80) as terminal:
            yield terminal, server


def say(terminal, server, sound, key="\r"):
    """Press a key, say a word when it is asked for, and wait until it was looked at."""
    terminal.wait_for("record   s skip" if key == "\r" else "p play")
    terminal.press(key)
    terminal.wait_for("● recording")
    time.sleep(0.4)
    server.play(sound).wait()
    return terminal.wait_for("p play")


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("rate", "channels", "sound"), [(44100, 1, "repetir.wav"), (48000, 2, "left.wav")])
def test_a_word_is_asked_for_heard_played_and_kept(tmp_path, sounds, rate, channels, sound):
    """At 44.1 and 48 kHz, from a mono microphone and from the left channel of a stereo one."""
    before = LIKES % rate
    options = ("REPETIR", "MÚSICA", "LUZ", "--into", "my")
    with recording(tmp_path, sounds, *options, before=before, rate=rate, channels=channels) as (
        screen,
        server,
    ):
        played = server.record("loudspeaker.monitor", tmp_path / "played.wav")
        shown = screen.wait_for("say REPETIR")
        assert f"default, {rate} Hz, ALSA" in shown
        assert "1 of 4, to my/seeds/REPETIR/001.wav" in shown
        assert ": fine" in say(screen, server, sounds / sound)
        screen.press("\x1b[A")  # an arrow is no answer
        time.sleep(1.5)  # it is being played
        screen.press("\r")
        say(screen, server, sounds / sound)
        assert "say MÚSICA" in screen.text
        say(screen, server, sounds / sound, "r")
        assert files(tmp_path / "my") == ["seeds/REPETIR/001.wav"]
        screen.press("\n")
        screen.wait_for("say LUZ")
        screen.press("s")
        screen.wait_for("FONDO: half a minute of background")
        screen.press("\r")
        screen.wait_for(" 1.5 s")
        screen.press("\r")
        screen.wait_for("k keep   p play")
        assert "half a minute holds more" in screen.words
        screen.press("k")
        shown = screen.end()
        played.terminate()
        played.wait()
    assert screen.process.returncode == 0
    assert "3 recordings kept; still none of LUZ" in shown
    kept = ["seeds/FONDO/001.wav", "seeds/MÚSICA/001.wav", "seeds/REPETIR/001.wav"]
    assert files(tmp_path / "my") == kept
    for name in kept:
        info = soundfile.info(tmp_path / "my" / name)
        assert (info.samplerate, info.channels, info.subtype) == (rate, 1, "PCM_16")
        if "FONDO" not in name:
            audio, _ = soundfile.read(tmp_path / "my" / name)
            assert likeness(audio, rate, sounds / "repetir.wav") > ALIKE
    audio, own = soundfile.read(tmp_path / "played.wav")
    assert likeness(audio.mean(axis=1), own, sounds / "repetir.wav") > ALIKE


def test_a_second_take_lies_beside_the_first_and_what_is_clipped_is_not_kept_by_enter(tmp_path, sounds):
    first = tmp_path / "data/voices/maria/REPETIR.wav"
    first.parent.mkdir(parents=True)
    first.write_bytes(b"the first")
    with recording(tmp_path, sounds, "repetir", "--voice", "maria", "--into", "data") as (screen, server):
        shown = say(screen, server, sounds / "loud.wav")
        assert ": doubtful" in shown
        assert "of its samples are clipped" in shown
        assert "Enter again   k keep   p play   s skip   q quit" in shown
        screen.press("\r")
        screen.wait_for("● recording")
        say_now(screen, server, sounds / "loud.wav")
        assert files(tmp_path / "data") == ["voices/maria/REPETIR.wav"]
        screen.press("k")
        shown = screen.end()
    assert "1 recording kept; `kws check data` looks at all of them, `kws new data` makes" in shown
    assert first.read_bytes() == b"the first"
    assert files(tmp_path / "data") == ["voices/maria/REPETIR.wav", "voices/maria/REPETIR_2.wav"]


def say_now(terminal, server, sound):
    """Say a word in a recording that has begun."""
    server.play(sound).wait()
    return terminal.wait_for("p play")


@pytest.mark.parametrize("end", ["Ctrl-C", "SIGTERM"])
def test_what_was_kept_stays_however_it_ends(tmp_path, sounds, end):
    with recording(tmp_path, sounds, "REPETIR", "LUZ", "--eval", "tom", "--into", "my") as (screen, server):
        say(screen, server, sounds / "repetir.wav")
        screen.press("\r")
        screen.wait_for("say LUZ")
        screen.press("\r")
        screen.wait_for("● recording")
        if end == "Ctrl-C":
            screen.press("\x03")
        else:
            screen.process.terminate()
        shown = screen.end()
    assert screen.process.returncode == 130
    assert "1 recording kept; still none of LUZ" in shown
    assert "REPETIR" in shown
    assert files(tmp_path / "my") == ["eval/words/REPETIR/tom.wav"]
    assert soundfile.info(tmp_path / "my/eval/words/REPETIR/tom.wav").frames > 0


def test_a_microphone_that_goes_away_is_one_line_and_what_was_kept_stays(tmp_path, sounds):
    with recording(tmp_path, sounds, "REPETIR", "LUZ", "--into", "my") as (screen, server):
        say(screen, server, sounds / "repetir.wav")
        screen.press("\r")
        screen.wait_for("say LUZ")
        screen.press("\r")
        screen.wait_for("● recording")
        server.die()
        shown = screen.end()
    assert screen.process.returncode == 1
    assert shown.count("error: microphone default: stopped; is it still plugged in?") == 1
    assert "Traceback" not in shown
    assert "1 recording kept; still none of LUZ FONDO" in shown
    assert files(tmp_path / "my") == ["seeds/REPETIR/001.wav"]


def test_a_muted_microphone_is_said_and_nothing_of_it_can_be_kept(tmp_path, sounds):
    with recording(tmp_path, sounds, "LUZ", "--into", "my", noise=False) as (screen, _):
        screen.wait_for("the microphone gives only zeros; is it muted?")
        screen.press("\r")
        screen.wait_for("● recording")
        shown = screen.wait_for("p play")
        assert "cannot be used" in shown
        assert shown.count("the microphone gives only zeros; is it muted?") == 1
        assert "Enter again   p play   s skip   q quit" in shown
        screen.press("kq")
        assert "0 recordings kept; still none of LUZ FONDO" in screen.end()
    assert not (tmp_path / "my").exists()


def test_what_would_lie_beside_the_shipped_recordings_is_said_before(tmp_path, sounds):
    shutil.copytree(SEEDS, tmp_path / "data/seeds")
    before = files(tmp_path / "data")
    with recording(tmp_path, sounds) as (screen, _):
        screen.wait_for("say ACOPLAR   1 of 8, to data/seeds/ACOPLAR/001.wav")
        assert "data/seeds holds the shipped example; q, and `--into my`, to keep yours" in screen.words
        screen.press("s")
        screen.wait_for("say CANCELAR")
        screen.press("q")
        assert "0 recordings kept" in screen.end()
    assert screen.process.returncode == 0
    assert files(tmp_path / "data") == before


def test_without_a_loudspeaker_it_is_said_and_the_word_is_kept(tmp_path, sounds):
    mute = {"PULSE_SINK": "none_such"}
    with recording(tmp_path, sounds, "LUZ", "--into", "my", environment=mute) as (screen, server):
        say(screen, server, sounds / "repetir.wav")
        assert "not played; is there a loudspeaker? (" in screen.words
        assert "Enter keep r again" in screen.words
        screen.press("\r")
        screen.wait_for("FONDO")
        screen.press("q")
        screen.end()
    assert files(tmp_path / "my") == ["seeds/LUZ/001.wav"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, sounds):
    with recording(tmp_path, sounds, "LUZ", "--into", "my", before=FULL) as (screen, server):
        say(screen, server, sounds / "repetir.wav")
        screen.press("\r")
        shown = screen.wait_for("make room")
        assert "my/seeds/LUZ/001.wav: File too large; make room and keep it again" in shown
        screen.press("s")
        screen.wait_for("FONDO")
        screen.press("q")
        assert "0 recordings kept" in screen.end()
    assert files(tmp_path / "my") == []


def run(*options, folder=ROOT):
    """Run a command without a terminal."""
    command = [sys.executable, "-c", RUN, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, input="", timeout=60)


def test_without_a_terminal_it_is_one_line():
    done = run("record", "--into", "my")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "error: kws record: asks, and waits for keys; run it in a terminal, without a pipe\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_microphone_that_is_not_there_is_told_as_kws_listen_tells_it(tmp_path):
    with Terminal([sys.executable, "-c", RUN, "record", "--device", "none-such"]) as terminal:
        shown = terminal.end()
    assert terminal.process.returncode == 1
    (line,) = [line for line in terminal.lines if "error" in line]
    assert line.startswith("error: microphone")
    assert "Traceback" not in shown
