"""What was saved is sorted by keys in a real terminal, played through PortAudio, and moved, never lost."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from sounds import ALIKE, likeness

from conftest import RATE, ROOT
from kws.collect import moves
from kws.collect.moves import move, move_stream
from kws.collect.places import Place
from kws.collect.spectrogram import spectrogram
from kws.evaluation.streams import Spoken, read_streams
from kws.runtime.recorder import keep
from pulse import pulse
from terminals import Terminal

RUN = "from kws.cli import app; app()"
ASKS = "r right   n not a word"


@pytest.fixture
def home(tmp_path, word):
    """A folder with params.yaml and what was saved: two events and a near miss, each another sound."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for index, name in enumerate(
        ["events/LUZ/a", "events/REPETIR/b", "events/SALIR/c", "near_misses/SALIR/d"]
    ):
        audio = np.zeros(2 * RATE)
        audio[8000 : 8000 + len(word)] = word / (1 + index)
        path = tmp_path / "kept" / f"{name}_0001.0s_0.90.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio, RATE)
    soundfile.write(tmp_path / "word.flac", word, RATE)
    return tmp_path


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def wavs(folder):
    return {name for name in files(folder) if name.endswith(".wav")}


def reviewing(home, *options, environment=None):
    command = [sys.executable, "-c", RUN, "review", "kept", *options]
    return Terminal(command, environment or mute(), home, rows=30, columns=80)


def mute():
    """An environment without any sound server."""
    return dict(os.environ) | {"PULSE_SERVER": "unix:/nowhere"}


def answer(terminal, which, key):
    terminal.wait_for(which)
    terminal.wait_for(ASKS if "LUZ" not in terminal.text else "n not a word")
    terminal.press(key)


def test_each_clip_is_shown_and_goes_where_its_key_says_and_comes_back(home):
    before = files(home)
    with reviewing(home, "--speaker", "tom") as terminal:
        shown = terminal.wait_for("1 of 4   heard as LUZ")
        assert "▀▀▀▀" in shown
        terminal.wait_for("n not a word")
        assert "r right" not in terminal.text  # params.yaml has no such label
        terminal.press("n")
        answer(terminal, "2 of 4   heard as REPETIR", "r")
        terminal.wait_for("3 of 4   heard as SALIR")
        terminal.wait_for("my/voices/tom/REPETIR.wav")
        terminal.press("u")
        terminal.wait_for("2 of 4   heard as REPETIR")
        assert not (home / "my").exists() or not wavs(home / "my")
        terminal.press("r")
        answer(terminal, "3 of 4   heard as SALIR", "a")
        terminal.wait_for("which?")
        terminal.press("1")
        answer(terminal, "4 of 4   nearly heard as SALIR", "s")
        shown = terminal.end()
    assert terminal.process.returncode == 0
    words = terminal.words
    assert "2 words, 1 of no word, 1 skipped; 0 left" in words
    assert "next: dvc exp run -S data.voices=my/voices" in words
    assert "kws review kept/skipped" in words
    after = files(home)
    assert wavs(home) == {
        "data/negatives/tom/LUZ_a_0001.0s_0.90.wav",
        "my/voices/tom/REPETIR.wav",
        "my/voices/tom/ACOPLAR.wav",
        "kept/skipped/near_misses/SALIR/d_0001.0s_0.90.wav",
    }
    assert sorted(before.values()) == sorted(after.values())  # every one as it was, and once


def test_a_second_review_goes_on_where_the_first_ended(home):
    with reviewing(home) as terminal:
        answer(terminal, "1 of 4", "n")
        terminal.wait_for("2 of 4")
        terminal.press("q")
        assert "0 words, 1 of no word, 0 skipped; 3 left" in " ".join(terminal.end().split())
        assert "next:  dvc repro" in terminal.text
    with reviewing(home) as terminal:
        terminal.wait_for("1 of 3   heard as REPETIR")
        terminal.press("\x03")
        terminal.end()
    assert terminal.process.returncode == 130
    assert len(wavs(home)) == 4


def test_to_measure_by_they_become_streams_with_labels(home, params):
    with reviewing(home, "--measure") as terminal:
        answer(terminal, "1 of 4", "n")
        answer(terminal, "2 of 4", "r")
        answer(terminal, "3 of 4", "r")
        terminal.wait_for("4 of 4")
        terminal.press("u")
        terminal.wait_for("3 of 4")
        terminal.press("q")
        assert "next:  dvc exp run -S data.streams=my/streams" in terminal.end()
    streams = read_streams(home / "my/streams", params.labels, params.background)
    assert [(one.name, one.spoken) for one in streams] == [
        ("home/a_0001.0s_0.90_none.wav", []),
        ("home/b_0001.0s_0.90_REPETIR.wav", [Spoken("REPETIR", 0.5, 1.5)]),
    ]


def test_each_is_played(home, tmp_path):
    (tmp_path / "server").mkdir()
    with pulse(tmp_path / "server") as server:
        played = server.record("loudspeaker.monitor", tmp_path / "played.wav")
        time.sleep(1)
        with reviewing(home, environment=server.environment) as terminal:
            terminal.wait_for("1 of 4")
            time.sleep(5)
            terminal.press("p")
            time.sleep(5)
            terminal.press("q")
            terminal.end()
        played.terminate()
        played.wait()
    audio, rate = soundfile.read(tmp_path / "played.wav")
    assert likeness(audio.mean(axis=1), rate, home / "word.flac") > ALIKE


def test_without_a_loudspeaker_it_is_said_and_sorting_goes_on(home):
    with reviewing(home) as terminal:
        terminal.wait_for("1 of 4")
        terminal.wait_for("not played")
        terminal.press("q")
        terminal.end()
    assert terminal.process.returncode == 0


def test_a_file_that_cannot_be_read_can_only_be_passed_over(home):
    broken = home / "kept/events/LUZ/a_0001.0s_0.90.wav"
    broken.write_bytes(b"no sound")
    with reviewing(home) as terminal:
        terminal.wait_for("1 of 4")
        terminal.wait_for("q quit")
        assert "n not a word" not in terminal.text
        terminal.press("ns")
        terminal.wait_for("2 of 4")
        terminal.press("q")
        terminal.end()
    assert (home / "kept/skipped/events/LUZ" / broken.name).read_bytes() == b"no sound"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["none"], "error: none: holds neither events/ nor near_misses/; name the folder of"),
        (["kept"], "error: kws review: asks, and waits for keys; run it in a terminal"),
        (["kept", "--speaker", "../x"], "error: --speaker '../x': a name has letters"),
    ],
)
def test_what_cannot_be_is_one_line(home, options, told):
    done = subprocess.run(
        [sys.executable, "-c", RUN, "review", *options],
        cwd=home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=mute() | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_move_leaves_the_file_in_one_place(tmp_path, monkeypatch, number):
    """The table of streams is written between the signal and the end."""
    source, streams = tmp_path / "a.wav", tmp_path / "streams"
    source.write_bytes(b"whole")
    write = moves.relabel

    def interrupted(*row):
        os.kill(os.getpid(), number)
        write(*row)

    monkeypatch.setattr(moves, "relabel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        move_stream(source, streams, Place("LUZ", streams / "tom", "a"), Spoken("LUZ", 0.5, 1.5))
    assert wavs(tmp_path) == {"streams/tom/a.wav"}
    with (streams / "labels.csv").open() as table:
        assert [row["file"] for row in csv.DictReader(table)] == ["tom/a.wav"]


def test_where_the_table_cannot_be_written_the_file_is_where_it_was(tmp_path, monkeypatch):
    source, streams = tmp_path / "a.wav", tmp_path / "streams"
    source.write_bytes(b"whole")
    streams.mkdir()
    (streams / "labels.csv").mkdir()
    with pytest.raises(Exception, match=r"labels\.csv"):
        move_stream(source, streams, Place("LUZ", streams / "tom", "a"), Spoken("LUZ", 0.5, 1.5))
    assert source.read_bytes() == b"whole"
    assert not wavs(streams)


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs a second file system")
def test_from_one_file_system_to_another_and_back(tmp_path):
    source = tmp_path / "a.wav"
    source.write_bytes(b"whole")
    other = moves.Path("/dev/shm") / f"kws-{os.getpid()}"
    try:
        moved = move(source, Place("LUZ", other, "LUZ"))
        assert (moved.target.read_bytes(), source.exists()) == (b"whole", False)
        moved.undo()
        assert (source.read_bytes(), moved.target.exists()) == (b"whole", False)
    finally:
        shutil.rmtree(other, ignore_errors=True)


def test_nothing_is_written_over(tmp_path):
    keep(tmp_path / "voices/LUZ.wav", b"first")
    (tmp_path / "a.wav").write_bytes(b"second")
    moved = move(tmp_path / "a.wav", Place("LUZ", tmp_path / "voices", "LUZ"))
    assert moved.target.name == "LUZ_2.wav"
    assert (tmp_path / "voices/LUZ.wav").read_bytes() == b"first"


def test_a_spectrogram_has_high_tones_above_low_ones(front_end):
    t = np.arange(RATE) / RATE
    tone = {f: np.sin(2 * np.pi * f * t).astype(np.float32) for f in (200, 6000)}

    def brightest(audio):
        rows = spectrogram(audio, front_end, 20, 8)
        assert len(rows) == 8
        assert {len(row) for row in rows} == {20}
        return max(range(8), key=lambda i: max(span.style.color.number for span in rows[i].spans))

    assert brightest(tone[6000]) < brightest(tone[200])
    assert len(spectrogram(np.zeros(10, np.float32), front_end, 20, 8)) == 8
