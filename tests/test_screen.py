"""What a person sees while listening."""

import io

import numpy as np
import pytest
from rich.console import Console

from kws.detector import DetectorSpec, Event, Rules
from kws.runtime.microphone import Faults
from kws.runtime.screen import Screen, level_dbfs
from kws.runtime.spotter import Heard

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
    (a,) = [line for line in lines if "0.25 of 0.50" in line]
    (b,) = [line for line in lines if "1.00 of 2.00" in line]
    assert a.count("━") == 10
    assert a.count("┃") == 1
    assert b.count("━") == 40
    assert "┃" not in b


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
