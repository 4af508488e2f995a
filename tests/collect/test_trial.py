"""`kws try`: words are played into a room, asked for in a real terminal, and counted."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from sounds import ALIKE, likeness

from conftest import RATE, ROOT
from kits import LABELS, SPEC, write_models
from kws.collect.trial import Attempt, Outcome, chosen, table
from kws.common.errors import UserError
from kws.detector import Event
from kws.evaluation.streams import read_streams
from pulse import pulse
from terminals import Terminal

RUN = "from kws.cli import app; app()"
DEAF = replace(SPEC, on={"SI": 2.0, "NO": 2.0}, points=[])
ONLY_SI = replace(SPEC, on={"SI": 0.3, "NO": 2.0}, points=[])
"""Whatever is said is SI."""


@pytest.fixture(scope="module")
def sounds(tmp_path_factory, word):
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "word.wav", word, RATE)
    soundfile.write(folder / "noise.wav", 1e-3 * np.random.default_rng(0).standard_normal(300 * RATE), RATE)
    return folder


@pytest.fixture
def trying(tmp_path, sounds, front_end, request):
    """Start `kws try` with a model of this detector, in a room with a faint noise, at a microphone's rate."""
    rate, channels = getattr(request, "param", (48000, 1))
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "server").mkdir()
    with pulse(tmp_path / "server", rate, channels) as server:
        server.play(sounds / "noise.wav")

        def start(spec, *options):
            write_models(tmp_path / "models", front_end, spec)
            command = [sys.executable, "-c", RUN, "try", "--seconds", "2", *options]
            return Terminal(command, server.environment, tmp_path, rows=30, columns=80), server

        yield start


def say_all(terminal, server, sound, words):
    for index, word in enumerate(words, 1):
        terminal.wait_for(f"say {word}   {index} of {len(words)}")
        server.play(sound).wait()
    terminal.wait_for("now none of the words")


@pytest.mark.parametrize("trying", [(16000, 2), (44100, 1)], indirect=True)
def test_what_is_missed_is_counted_and_kept_to_measure_by(tmp_path, trying, sounds):
    terminal, server = trying(DEAF, "--speaker", "tom", "--save", "my/eval")
    with terminal:
        say_all(terminal, server, sounds / "word.wav", ["SI", "NO"] * 3)
        shown = terminal.end()
    assert terminal.process.returncode == 0
    rows = [line.split()[:5] for line in terminal.lines]
    assert ["SI", "3", "0", "3", "0"] in rows
    assert ["NO", "3", "0", "3", "0"] in rows
    assert "0 false accepts in 2 s without a word" in shown
    assert "peak of words" in shown
    assert "in training -40 to -1" in shown
    assert "next:  dvc exp run -S data.eval=my/eval -S data.streams=my/streams" in shown
    words = sorted(path.relative_to(tmp_path / "my").as_posix() for path in tmp_path.glob("my/eval/**/*.wav"))
    assert words == [
        f"eval/words/{label}/tom{take}.wav" for label in ("NO", "SI") for take in ("", "_2", "_3")
    ]
    for name in words:
        audio, rate = soundfile.read(tmp_path / "my" / name)
        assert likeness(audio, rate, sounds / "word.wav") > ALIKE
    (stream,) = read_streams(tmp_path / "my/streams", LABELS, "FONDO")
    assert stream.name == "tom/001.wav"
    assert [one.label for one in stream.spoken] == ["SI", "NO"] * 3
    audio, rate = soundfile.read(stream.path)
    for one in stream.spoken:
        said = audio[round((one.start - 0.1) * rate) : round((one.end + 0.3) * rate)]
        assert likeness(np.pad(said, RATE), rate, sounds / "word.wav") > ALIKE


def test_what_is_heard_and_what_is_heard_instead_are_told_apart(trying, sounds):
    terminal, server = trying(ONLY_SI, "no")
    with terminal:
        say_all(terminal, server, sounds / "word.wav", ["NO"] * 3)
        terminal.end()
    (row,) = [line.split() for line in terminal.lines if line.startswith("NO ") and "said" not in line]
    assert row[1:3] == ["3", "0"]
    assert int(row[4]) > 0
    assert row[5:] == ["as", "SI"]


def test_a_word_can_be_put_off_and_left_out_and_ctrl_c_tells_what_there_is(tmp_path, trying, sounds):
    terminal, server = trying(DEAF, "--save", "my/eval")
    with terminal:
        terminal.wait_for("say SI   1 of 6")
        terminal.press("n")
        terminal.wait_for("say NO   1 of 6")
        terminal.press("\r")
        terminal.wait_for("say SI   2 of 6")
        server.play(sounds / "word.wav").wait()
        terminal.wait_for("3 of 6")
        terminal.press("\x03")
        terminal.end()
    assert terminal.process.returncode == 130
    assert ["SI", "1", "0", "1", "0"] in [line.split()[:5] for line in terminal.lines]
    (stream,) = read_streams(tmp_path / "my/streams", LABELS, "FONDO")
    assert [one.label for one in stream.spoken] == ["SI"]


def test_a_server_that_dies_is_one_line(trying):
    terminal, server = trying(DEAF)
    with terminal:
        terminal.wait_for("say SI   1 of 6")
        server.die()
        shown = terminal.end()
    assert terminal.process.returncode == 1
    assert shown.count("error: microphone default: stopped; is it still plugged in?") == 1
    assert "Traceback" not in shown


def test_without_a_terminal_it_is_one_line(tmp_path, front_end):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_models(tmp_path / "models", front_end)
    done = subprocess.run(
        [sys.executable, "-c", RUN, "try"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        input="",
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: kws try: asks, and waits for keys; run it in a terminal, without a pipe\n",
    )


def test_the_first_answer_decides(params):
    def attempt(label, *events):
        return Attempt(label, list(events), 0, 1, -50.0, 12.0)

    outcome = Outcome(
        [attempt("SI", "SI"), attempt("SI", "NO", "SI"), attempt("SI"), attempt("NO", "NO")],
        [Event("NO", 1, 2, 0.9)],
        60.0,
    )
    lines = table(outcome, ["SI", "NO"], params.augment)
    assert lines[1].split() == ["SI", "3", "1", "1", "1", "as", "NO"]
    assert lines[2].split() == ["NO", "1", "1", "0", "0"]
    assert lines[3] == "1 false accepts in 60 s without a word: NO 1"
    assert lines[4].endswith("in training -40 to -1: come nearer, or turn it up")
    assert lines[5].endswith("in training 0 to 30")


def test_words_are_named_in_any_case_and_those_the_model_lacks_are_refused():
    assert chosen([], SPEC) == ["SI", "NO"]
    assert chosen(["no"], SPEC) == ["NO"]
    with pytest.raises(UserError, match="LUZ: the model knows SI NO"):
        chosen(["LUZ"], SPEC)
