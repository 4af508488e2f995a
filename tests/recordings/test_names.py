"""A recording belongs to the label that it, or its folder, is named after, however that is spelt."""

import shutil
from pathlib import PurePosixPath

import pytest

from conftest import SEEDS
from kws.recordings.names import folders_of, is_named, of_voice, unmatched, unmatched_folders


@pytest.mark.parametrize(
    ("name", "label", "same"),
    [
        ("LUZ", "LUZ", True),
        ("luz", "LUZ", True),
        ("Luz_2", "LUZ", True),
        ("luz-02", "LUZ", True),
        ("luz 2", "LUZ", True),
        ("luz (2)", "LUZ", True),
        ("MU\u0301SICA", "M\u00daSICA", True),
        ("mu\u0301sica_3", "M\u00daSICA", True),
        ("LUZ_2", "LUZ_2", True),
        ("LUZ", "LUZ_2", False),
        ("LUZ_3", "LUZ_2", False),
        ("MUSICA", "M\u00daSICA", False),
        ("LUZ2", "LUZ", False),
        ("LUZ_DOS", "LUZ", False),
        ("LUZ_", "LUZ", False),
        ("_2", "LUZ", False),
    ],
)
def test_names_of_a_label(name, label, same):
    assert is_named(name, label) is same


@pytest.mark.parametrize(
    ("recording", "used"),
    [
        ("maria/LUZ.wav", True),
        ("maria/luz_2.m4a", True),
        ("maria/LUZ/uno.wav", True),
        ("maria/luz/REC001.wav", True),
        ("maria/monday/LUZ.wav", True),
        ("LUZ.wav", True),
        ("LUZ/SALIR.wav", False),
        ("maria/LUCES.wav", False),
    ],
)
def test_recordings_of_voices(recording, used):
    """A voice may be called like a label."""
    assert of_voice(PurePosixPath(recording), "LUZ") is used


def lay(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SEEDS / "SALIR/000_salir.wav", folder / name)


def test_what_no_label_uses_is_listed(tmp_path):
    lay(tmp_path, "maria/luz.wav", "maria/LUX.wav", "pepe/LUZ/1.wav", "pepe/voz/1.wav", "pepe/SALIR_2.wav")
    assert unmatched(tmp_path, ["LUZ", "SALIR"]) == ["maria/LUX.wav", "pepe/voz/1.wav"]
    assert unmatched(tmp_path, ["LUZ", "SALIR", "LUX", "VOZ"]) == []


def test_folders_of_words_are_found_however_they_are_spelt(tmp_path):
    lay(tmp_path, "luz/ana.wav", "LUZ_2/ana.wav", "SALIR/ana.wav", "salida/ana.wav", "LUZ.wav")
    (tmp_path / "empty").mkdir()
    assert [path.name for path in folders_of(tmp_path, "LUZ")] == ["LUZ_2", "luz"]
    assert unmatched_folders(tmp_path, ["LUZ", "SALIR"]) == ["LUZ.wav", "salida"]
    assert folders_of(tmp_path / "absent", "LUZ") == unmatched_folders(tmp_path / "absent", ["LUZ"]) == []
