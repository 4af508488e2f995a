"""The page shows what was recorded: the word marked, the verdict in words."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE, ROOT
from kws.common.errors import UserError
from kws.params.sections import Data
from kws.report.numbers import MINUS, NBSP
from kws.report.recorded import recorded


def scene(word, peak=0.3):
    audio = 1e-3 * np.random.default_rng(0).standard_normal(2 * RATE, np.float32)
    audio[RATE // 2 : RATE // 2 + len(word)] += peak * word / np.abs(word).max()
    return np.clip(audio, -1, 1)


@pytest.fixture
def data(tmp_path, word) -> Data:
    (tmp_path / "seeds/LUZ").mkdir(parents=True)
    soundfile.write(tmp_path / "seeds/LUZ/001.wav", scene(word), RATE)
    soundfile.write(tmp_path / "seeds/LUZ/002.wav", scene(word, 8), RATE)
    none = str(ROOT / "data/none")
    return Data(seeds=f"{tmp_path}/seeds", voices=none, negatives=none, rirs=none, eval=none, streams=none)


def test_each_recording_has_its_word_marked_and_its_verdict_said(data, front_end, word):
    (luz,) = recorded(["LUZ"], data, front_end, 8)
    assert (luz.label, luz.n) == ("LUZ", 2)
    clear, loud = luz.sounds
    assert (clear.title, clear.state, loud.state) == ("LUZ/001.wav", "ok", "doubtful")
    (mark,) = clear.marks
    assert mark.kind == "word"
    assert mark.left == pytest.approx(0.25, abs=0.05)
    assert mark.width == pytest.approx(len(word) / RATE / 2, abs=0.08)
    assert clear.details[0].startswith("ok: 0.")
    assert any("samples are clipped" in detail for detail in loud.details)
    assert f"peak {MINUS}10{NBSP}dBFS" in clear.details[1]
    assert clear.audio.startswith("data:audio/mpeg")


def test_of_many_some_are_shown_and_the_voices_count(data, front_end):
    many = data.model_copy(update={"seeds": str(ROOT / "data/seeds"), "voices": str(ROOT / "data/voices")})
    (salir,) = recorded(["SALIR"], many, front_end, 3)
    assert (salir.n, len(salir.sounds)) == (11, 3)
    assert salir.sounds[0].title == "SALIR/000_salir.wav"
    assert salir.sounds[-1].title == "am_onyx/SALIR.wav"


def test_a_word_that_is_too_long_is_framed_as_unusable(data, front_end, word):
    twice = np.concatenate([word, word])
    soundfile.write(f"{data.seeds}/LUZ/003.wav", np.pad(scene(twice[: RATE + 8000]), (0, RATE)), RATE)
    found = recorded(["LUZ"], data, front_end, 8)[0].sounds[-1]
    assert found.state == "unusable"
    assert {mark.kind for mark in found.marks} == {"window"}


def test_what_cannot_be_read_is_one_line(data, front_end):
    Path(data.seeds, "LUZ/001.wav").write_bytes(b"gone")
    with pytest.raises(UserError, match=r"001\.wav: cannot be read"):
        recorded(["LUZ"], data, front_end, 8)
