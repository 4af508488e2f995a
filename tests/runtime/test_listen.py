"""`kws listen` hears what is played in a room: PortAudio's own stream, from the monitor of a null sink."""

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from sounds import ALIKE, likeness

from conftest import RATE
from kits import SPEC, write_models
from pulse import pulse
from terminals import Terminal

READILY = replace(SPEC, on={"SI": 0.3, "NO": 0.3}, points=[])


@pytest.fixture(scope="module")
def models(tmp_path_factory, front_end):
    return write_models(tmp_path_factory.mktemp("models"), front_end, READILY)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory, word):
    """A word, alone and in the right channel only, and the faint noise of a room."""
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "word.wav", word, RATE)
    soundfile.write(folder / "right.wav", np.stack([0 * word, word], axis=1), RATE)
    noise = 1e-3 * np.random.default_rng(0).standard_normal((60 * RATE, 2))
    soundfile.write(folder / "noise.wav", noise, RATE)
    return folder


def command(models, *options):
    files = ["--model", models / "kws.onnx", "--detector", models / "detector.json"]
    return [str(word) for word in (sys.executable, "-m", "kws.runtime", "listen", *files, *options)]


@contextmanager
def listening(server, models, *options):
    """Run `kws listen --json` until its first windows are heard; end it as Ctrl-C does."""
    process = subprocess.Popen(
        command(models, "--json", *options),
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ended(process):
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=60)


def best_likeness(folder, word):
    """How like a word the audio of any event is; files that are being written do not count yet."""
    found = [0.0]
    for path in sorted(folder.rglob("*.wav")):
        with suppress(soundfile.LibsndfileError):
            found.append(likeness(*soundfile.read(path), word))
    return max(found)


def play_until_heard(server, sound, word, folder, seconds):
    """Play a sound again and again, since nobody knows when a busy machine begins to listen."""
    end = time.monotonic() + seconds
    while best_likeness(folder, word) <= ALIKE and time.monotonic() < end:
        server.play(sound).wait()
        time.sleep(2)


@pytest.mark.parametrize(("rate", "channels"), [(rate, n) for rate in (16000, 44100, 48000) for n in (1, 2)])
def test_what_is_played_is_what_is_heard(tmp_path, models, sounds, rate, channels):
    with pulse(tmp_path, rate, channels) as server:
        server.play(sounds / "noise.wav")
        with listening(server, models, "--save-events", tmp_path / "kept") as process:
            play_until_heard(server, sounds / "word.wav", sounds / "word.wav", tmp_path / "kept", 90)
            out, err = ended(process)
    assert process.returncode == 0, err
    assert out, "no event"
    assert {json.loads(line)["label"] for line in out.splitlines()} <= {"SI", "NO"}
    assert best_likeness(tmp_path / "kept", sounds / "word.wav") > ALIKE


@pytest.mark.parametrize(("channel", "hears"), [(1, False), (2, True)])
def test_one_channel_is_heard_alone(tmp_path, models, sounds, channel, hears):
    with pulse(tmp_path, 48000, 2) as server:
        server.play(sounds / "noise.wav")
        with listening(server, models, "--channel", channel, "--save-events", tmp_path / "kept") as process:
            seconds = 90 if hears else 20
            play_until_heard(server, sounds / "right.wav", sounds / "word.wav", tmp_path / "kept", seconds)
            _, err = ended(process)
    assert process.returncode == 0, err
    assert int(re.search(r"(\d+) windows", err)[1]) > 0, "it listened"
    assert (best_likeness(tmp_path / "kept", sounds / "word.wav") > ALIKE) == hears


def test_a_channel_that_is_not_there_is_one_line(tmp_path, models):
    with pulse(tmp_path) as server:
        done = subprocess.run(
            command(models, "--channel", 999), env=server.environment, capture_output=True, text=True
        )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert line.startswith("error: --channel 999: default has ")


def test_a_server_that_dies_is_one_line(tmp_path, models, sounds):
    with pulse(tmp_path) as server:
        server.play(sounds / "noise.wav")
        with listening(server, models) as process:
            time.sleep(5)
            server.die()
            _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("error: microphone default: stopped; is it still plugged in?") == 1
    assert "Traceback" not in err


def test_nothing_but_zeros_is_said_once(tmp_path, models):
    with pulse(tmp_path) as server, listening(server, models) as process:
        time.sleep(14)
        _, err = ended(process)
    assert err.count("warning: the microphone gives only zeros; is it muted?") == 1


def test_nothing_but_zeros_is_on_the_screen_until_there_is_sound(tmp_path, models, sounds):
    with pulse(tmp_path) as server, Terminal(command(models), server.environment) as terminal:
        terminal.wait_for("the microphone gives only zeros; is it muted?")
        server.play(sounds / "noise.wav")
        deadline = time.monotonic() + 30
        while "is it muted?" in terminal.text:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        terminal.press("\x03")
        assert "windows" in terminal.end()
