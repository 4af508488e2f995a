"""What a person sees while listening."""

import io
import sys

import numpy as np
import pytest
from rich.console import Console

from kits import write_models
from kws.detector import DetectorSpec, Event, Rules
from kws.runtime.microphone import Faults
from kws.runtime.screen import Screen, level_dbfs, score_row
from kws.runtime.spotter import Heard
from terminals import Terminal

SPEC = DetectorSpec(
    ["A", "B", "FONDO"], "FONDO", 1.0, Rules(100, 100, 100, 100, 0.7, 1000, 0), {"A": 0.5, "B": 2.0}
)


def picture(heard, audio=None, faults=None):
    console = Console(file=io.StringIO(), width=82, force_terminal=True)
    screen = Screen("USB Mic", SPEC, 16000, faults or Faults(), console)
    for part in heard:
        screen.push(np.zeros(1600, np.float32) if audio is None else audio, part)
    screen.close()
    output = Console(file=io.StringIO(), width=82)
    output.print(screen.render())
    return output.file.getvalue()


def part(a, b, *events):
    return Heard(np.array([[a, b]]), list(events))


def test_it_shows_the_last_scores_against_their_thresholds():
    lines = picture([part(0.9, 0.0), part(0.25, 1.0)]).splitlines()
    (a,) = [line for line in lines if "0.2500 of 0.5000" in line]
    (b,) = [line for line in lines if "1.0000 of never" in line]
    assert a.count("━") == 12  # log-odds of -1.1 in -8 to 12
    assert a.index("┃") - a.index("━") == 14
    assert b.count("━") == 36
    assert "┃" not in b


def test_scores_near_1_are_told_apart():
    below, on, above = 0.992, 0.9955, 0.9992
    rows = [score_row("A", score, on).plain for score in (below, on, above)]
    assert [row[50:] for row in rows] == [f" {score:.4f} of 0.9955" for score in (below, on, above)]
    ends = [row.rindex("━") for row in rows]
    assert ends == sorted(set(ends))
    assert len({row.index("┃") for row in rows}) == 1


def test_it_counts_every_word():
    text = picture([part(0.9, 0, Event("A", i, i + 1.0, 0.9)) for i in range(12)])
    (a,) = [line for line in text.splitlines() if "0.9000 of 0.5000" in line]
    assert "12 x" in a
    assert text.count("12 x") == 1


def test_a_long_label_and_a_foreign_name_keep_the_frame_whole():
    spec = DetectorSpec(["A" * 60, "FONDO"], "FONDO", 1.0, SPEC.rules, {"A" * 60: 0.5})
    console = Console(file=io.StringIO(), width=82)
    screen = Screen("[red]Mic\x1b[2J\n", spec, 16000, Faults(), console)
    screen.push(np.zeros(9, np.float32), Heard(np.array([[0.9]]), []))
    console.file.truncate(0)
    console.print(screen.render())
    screen.close()
    lines = console.file.getvalue().strip("\0").splitlines()
    assert "─ [red]Mic\\n ─" in lines[0]
    assert all(line.strip()[-1] in "│╮╯" for line in lines if line.strip())
    assert "A" * 13 + " ━" in "".join(lines)


DYING = """
import os, sys, threading, time, types

class PortAudioError(Exception):
    pass

def play(settings):
    import numpy as np
    for index in range(30):
        fine = types.SimpleNamespace(input_overflow=False)
        settings["callback"](np.zeros((1600, 1), np.float32), 1600, None, fine)
        time.sleep(0.02)
        if index == 15:
            os.write(2, b"ALSA lib pulse.c:242: Unable to connect\\n")
    os.write(2, b"Expression 'ret' failed in 'pa_linux_alsa.c'\\nline: 3670\\n")
    settings["finished_callback"]()

class InputStream:
    def __init__(self, **settings):
        self.thread = threading.Thread(target=play, args=(settings,))
        self.start = self.thread.start
    def close(self, ignore_errors):
        self.thread.join()
        os.write(2, b"closing\\n")

library = types.ModuleType("sounddevice")
library.PortAudioError, library.InputStream = PortAudioError, InputStream
mic = {"name": "Mic", "max_input_channels": 1, "default_samplerate": 16000.0}
library.query_devices = lambda *which: mic if which else [mic]
library.check_input_settings = lambda *_, **more: None
sys.modules["sounddevice"] = library
from kws.runtime.cli import app
app()
"""
"""A microphone whose server dies: C libraries write to the file descriptor, as PortAudio and ALSA do."""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_the_frame_is_drawn_once_whatever_others_write(tmp_path, front_end):
    folder = write_models(tmp_path, front_end)
    options = ["--model", folder / "kws.onnx", "--detector", folder / "detector.json"]
    with Terminal([sys.executable, "-c", DYING, "listen", *options]) as terminal:
        text = terminal.end()
    assert terminal.process.returncode == 1
    assert [text.count(corner) for corner in "╭╮╰╯"] == [1, 1, 1, 1], text
    assert text.count("level ") == 1
    for said in ("ALSA lib pulse.c:242", "Expression 'ret' failed", "line: 3670", "closing"):
        assert text.count(said) == 1, text
    assert text.index("line: 3670") < text.index("╭") < text.index("closing")
    assert "error: microphone Mic: stopped; is it still plugged in?" in text


def test_it_shows_the_last_events_and_what_was_lost():
    events = [Event("A", i, i + 1.0, 0.5) for i in range(9)]
    text = picture([part(0.5, 0, event) for event in events], faults=Faults(overruns=3))
    assert "0.9 s heard in 9 windows   3 overruns   0 invalid samples" in text
    assert "USB Mic" in text
    assert [f"{i + 1.0:10.1f}  A " in text for i in range(9)] == [False] * 3 + [True] * 6


@pytest.mark.parametrize(("audio", "level"), [(np.ones(9), 0), (np.full(9, 0.1), -20), (np.zeros(9), -120)])
def test_the_level_is_that_of_full_scale(audio, level):
    assert level_dbfs(audio.astype(np.float32)) == pytest.approx(level, abs=1e-5)
    assert f"{level:6.1f} dBFS" in picture([part(0, 0)], audio.astype(np.float32))


def test_before_any_audio_there_is_silence():
    assert level_dbfs(np.zeros(0, np.float32)) == -120
