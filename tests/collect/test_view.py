"""What a person sees while recording."""

import io
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from kws.collect.view import KEPT, MUTED, Kept, View

ROWS = 19
"""A terminal has 24, and other programs may say something above the picture."""


def picture(view, last=False):
    console = Console(file=io.StringIO(), width=80)
    console.print(view.last() if last else view.render())
    return console.file.getvalue().splitlines()


def kept(number, label="LUZ"):
    return Kept(label, Path(f"my/seeds/{label}/{number:03}.wav"), 0.62, -6.0, 52.1)


def test_it_is_as_high_and_as_wide_whatever_is_in_it():
    full = View("[red]Mic\x1b[2J, 48000 Hz, ALSA")
    full.kept = [kept(n, label) for n, label in enumerate(["LUZ", "M" * 100, "电灯" * 20, "A"] * 3)]
    full.say, full.where = "say " + "W" * 100, "1 of 2, to " + "x/" * 90
    full.status, full.notes = Text("s" * 200), ["a long note " * 40, "b" * 300]
    full.keys = "Enter keep   r again   p play   s skip   q quit"
    full.hear(np.ones(10, np.float32), muted=True)
    for view in (View("Mic"), full):
        lines = picture(view)
        assert len(lines) == ROWS
        assert all(Text(line).cell_len == 80 for line in lines)
        assert all(line[0] in "╭│╰" and line[-1] in "╮│╯" for line in lines)
    assert "[red]Mic, 48000 Hz, ALSA" in picture(full)[0]


def test_the_last_ones_kept_are_shown_and_all_of_them_in_the_end():
    view = View("Mic", kept=[kept(n) for n in range(1, 9)])
    shown = [line for line in picture(view) if "my/seeds/LUZ/" in line]
    assert len(shown) == KEPT
    assert "008.wav" in shown[-1]
    assert len([line for line in picture(view, last=True) if "my/seeds/LUZ/" in line]) == 8
    assert any("nothing was kept" in line for line in picture(View("Mic"), last=True))


def test_columns_stand_under_their_heading():
    view = View("Mic", kept=[kept(1), kept(2, "MÚSICA")])
    heading, first, second = picture(view, last=True)[1:4]
    for name, value in (("length", "0.62 s"), ("peak", "-6.0"), ("SNR", "52")):
        end = heading.index(name) + len(name)
        assert first[:end].endswith(value)
        assert second[:end].endswith(value)
    assert heading.index("file") == first.index("my/seeds")


def test_the_meter_says_for_a_second_that_the_level_was_too_high():
    view = View("Mic")
    view.hear(np.ones(10, np.float32), muted=False)
    assert "clipped" in picture(view)[1]
    for _ in range(19):
        view.hear(np.zeros(10, np.float32), muted=False)
    assert "clipped" in picture(view)[1]
    view.hear(np.zeros(10, np.float32), muted=False)
    assert "clipped" not in picture(view)[1]


def test_a_muted_microphone_is_said_once():
    view = View("Mic", notes=[MUTED])
    view.hear(np.zeros(10, np.float32), muted=True)
    assert sum(MUTED in line for line in picture(view)) == 1
    view.notes = []
    assert sum(MUTED in line for line in picture(view)) == 1
    view.hear(np.ones(10, np.float32), muted=False)
    assert not any(MUTED in line for line in picture(view))
