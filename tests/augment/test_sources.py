"""Recordings of a label become words, whatever else is in the folder."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE, ROOT, SEEDS, real
from kws.augment.account import of_words
from kws.augment.sources import Bank, read_bank, warn_of_unused
from kws.augment.sources import read_words as read
from kws.common.errors import UserError
from kws.recordings.word import Finding


def read_words(folder: Path, rate: int, longest_s: float, voices: Path = ROOT / "data/none") -> Bank:
    return read(folder.name, folder.parent, voices, rate, longest_s)


def test_a_long_recording_gives_its_word(tmp_path, word):
    soundfile.write(tmp_path / "a.wav", np.pad(word, (9000, 30000)), RATE)
    bank = read_words(tmp_path, RATE, 1.0)
    assert bank.length(f"{tmp_path.name}/a.wav") == pytest.approx(12320, abs=400)


def test_a_word_too_long_is_left_out_while_others_remain(tmp_path, word):
    soundfile.write(tmp_path / "a.wav", word, RATE)
    soundfile.write(tmp_path / "b.wav", np.concatenate([word, word]), RATE)
    with pytest.warns(UserWarning, match=r"b\.wav: its word at 0\.0 s takes 1\.\d+ s, longer than a clip"):
        assert read_words(tmp_path, RATE, 1.0).names == [f"{tmp_path.name}/a.wav"]
    (tmp_path / "a.wav").unlink()
    with pytest.warns(UserWarning), pytest.raises(UserError, match="holds no word that can be used"):
        read_words(tmp_path, RATE, 1.0)


def test_several_takes_in_one_recording_are_several_words(tmp_path, word, monkeypatch):
    found = Finding((slice(0, 9000), slice(16000, 26000)), ("said 2 times",), -20.0, -60.0)
    monkeypatch.setattr("kws.recordings.verdict.search", lambda *_: found)
    soundfile.write(tmp_path / "a.wav", np.concatenate([word, word]), RATE)
    with pytest.warns(UserWarning, match=r"a\.wav: said 2 times$"):
        bank = read_words(tmp_path, RATE, 1.0)
    assert [bank.length(name) for name in bank.names] == [9000, 10000]
    assert bank.names == [f"{tmp_path.name}/a.wav", f"{tmp_path.name}/a.wav take 2"]
    said = of_words(tmp_path.name, bank, RATE)
    assert said == f"{tmp_path.name}: 2 words: {bank.names[0]} (0.56 s), {bank.names[1]} (0.62 s)"


def test_what_is_doubtful_about_a_recording_is_said(tmp_path, word):
    soundfile.write(tmp_path / "a.wav", np.clip(9 * word, -1, 1), RATE)
    with pytest.warns(UserWarning, match=r"a\.wav: .*samples are clipped") as warned:
        read_words(tmp_path, RATE, 1.0)
    assert len({str(w.message) for w in warned}) == len(warned), "once"


def test_the_voices_are_counted():
    bank = read_words(SEEDS / "SALIR", RATE, 1.0, ROOT / "data/voices")
    said = of_words("SALIR", bank, RATE)
    assert said.startswith("SALIR: 11 words, 10 voices besides your own: SALIR/000_salir.wav (0.59 s), af_")
    assert said.endswith(" and 6 more")


def test_human_recordings_work_as_they_are():
    with pytest.warns(UserWarning) as warned:
        assert read_words(real("human_es") / "REPETIR", RATE, 1.0).names == ["REPETIR/001_repetir.wav"]
    assert len(warned) == 4
    for label in ("ACOPLAR", "CANCELAR", "CONTINUAR", "LEVANTADO", "PRINCIPAL", "SALIR"):
        bank = read_words(real("human_es") / label, RATE, 1.0)
        assert len(bank.names) == 1
        assert 0.5 * RATE < len(bank.samples) <= RATE


def test_a_bank_repeats_what_is_too_short(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 100, dtype=np.float32), RATE)
    soundfile.write(tmp_path / "b.wav", np.linspace(0.5, -0.5, 300, dtype=np.float32), RATE)
    bank = read_bank(tmp_path, RATE)
    assert bank.names == ["a.wav", "b.wav"]
    segment = bank.segment("a.wav", 50, 200)
    assert np.allclose(segment[:50], segment[100:150])
    assert np.allclose(bank.segment("b.wav", 0, 300), np.linspace(0.5, -0.5, 300), atol=1e-4)


def test_names_are_relative_so_that_clips_do_not_depend_on_where_the_folder_is(tmp_path):
    shutil.copytree(SEEDS / "SALIR", tmp_path / "SALIR")
    here, there = (read_words(folder / "SALIR", RATE, 1.0) for folder in (SEEDS, tmp_path))
    assert here.offsets == there.offsets
    assert here.hashes == there.hashes
    assert np.array_equal(here.samples, there.samples)


def test_other_speakers_add_their_recording_of_the_label():
    bank = read_words(SEEDS / "SALIR", RATE, 1.0, ROOT / "data/voices")
    assert len(bank.names) == 11
    assert bank.names[0] == "SALIR/000_salir.wav"
    assert all(name.endswith("/SALIR.wav") for name in bank.names[1:])


def voice(folder, *names):
    for name in names:
        path = folder / "anna" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SEEDS / "SALIR/000_salir.wav", path)


@pytest.mark.parametrize(
    "name",
    [
        "SEN\u0303AL",
        "se\u00f1al",
        "Sen\u0303al_2",
        "SE\u00d1AL-02",
        "SE\u00d1AL/1",
        "sen\u0303al/otra",
        "SE\u00d1AL (2)",
    ],
)
def test_a_recording_by_a_voice_is_found_however_the_label_is_spelt(tmp_path, name):
    voice(tmp_path / "voices", name)
    shutil.copytree(SEEDS / "REPETIR", tmp_path / "SE\u00d1AL")
    bank = read_words(tmp_path / "SE\u00d1AL", RATE, 1.0, tmp_path / "voices")
    assert bank.names[-1] == f"anna/{name}.wav"


def test_recordings_that_no_label_uses_are_said_in_a_line_for_each_folder(tmp_path):
    voices, seeds = tmp_path / "voices", tmp_path / "seeds"
    voice(voices, "SALIR", "luz", "SEN\u0303AL", "LUZ2", "LUZ_2", *(f"OTRO{n}" for n in range(6)))
    for folder in ("SALIR", "luz", "LUZ", "LUZ_2", "OTRO"):
        (seeds / folder).mkdir(parents=True)
    with pytest.warns(UserWarning) as warned:
        warn_of_unused(seeds, voices, ["SALIR", "SE\u00d1AL", "LUZ"])
    names = ", ".join(f"anna/{name}.wav" for name in ("LUZ2", "OTRO0", "OTRO1", "OTRO2", "OTRO3"))
    assert [str(w.message) for w in warned] == [
        f"{voices}: {names} and 2 more: no label is called so; not used, a voice's file is <LABEL>.wav",
        f"{seeds}: LUZ_2, luz: not used; move what is in it to LUZ, which is",
    ]
    with warnings.catch_warnings(action="error"):
        warn_of_unused(
            tmp_path / "SALIR",
            voices,
            ["SALIR", "SE\u00d1AL", "luz", "LUZ2", *(f"OTRO{n}" for n in range(6))],
        )
