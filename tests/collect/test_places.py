"""Where recordings go: by the layouts of the pipeline, never over another, and only where they are wanted."""

from itertools import islice
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.collect.places import Place, choose
from kws.common.errors import UserError
from kws.evaluation.voices import voice_of

MY = Path("my")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def few(params):
    """Parameters with three labels, and folders as shipped."""
    return params.model_copy(update={"labels": ["LUZ", "MÚSICA", "FONDO"]})


def touch(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def shown(places: list[Place]) -> list[str]:
    return [place.next().as_posix() for place in places]


def test_each_layout_is_that_of_its_folder(folder, few):
    voiced = few.model_copy(update={"data": few.data.model_copy(update={"voices": "data/voices"})})
    words = ["LUZ", "MÚSICA"]
    assert shown(choose(words, few, None, None, None)) == [
        "data/seeds/LUZ/001.wav",
        "data/seeds/MÚSICA/001.wav",
        "data/seeds/FONDO/001.wav",
    ]
    assert shown(choose(words, voiced, None, "maria", None)) == [
        "data/voices/maria/LUZ.wav",
        "data/voices/maria/MÚSICA.wav",
    ]
    assert shown(choose(words, few, None, None, "tom")) == [
        "data/eval/words/LUZ/tom.wav",
        "data/eval/words/MÚSICA/tom.wav",
    ]
    assert shown(choose(["LUZ"], few, MY, None, None)) == ["my/seeds/LUZ/001.wav", "my/seeds/FONDO/001.wav"]
    assert shown(choose(["LUZ"], few, MY, "maria", None)) == ["my/voices/maria/LUZ.wav"]
    assert shown(choose(["LUZ"], few, MY, None, "tom")) == ["my/eval/words/LUZ/tom.wav"]


def test_takes_are_numbered_past_all_that_is_there():
    numbered, named = Place("LUZ", MY), Place("LUZ", MY, "tom")
    assert [path.name for path in islice(numbered.names(), 3)] == ["001.wav", "002.wav", "003.wav"]
    assert [path.name for path in islice(named.names(), 3)] == ["tom.wav", "tom_2.wav", "tom_3.wav"]
    assert {voice_of(path.relative_to(MY)) for path in islice(named.names(), 12)} == {"tom"}


def test_a_name_is_taken_by_whatever_lies_there(folder):
    touch("my/001.wav", "my/003.wav")
    Path("my/002.wav").symlink_to("nowhere")
    assert Place("LUZ", MY).next().name == "004.wav"


def test_without_labels_those_without_a_recording_are_asked_for_or_else_all(folder, few):
    every = ["LUZ", "MÚSICA", "FONDO"]

    def labels(*who):
        return [place.label for place in choose([], few, MY, *(who or (None, None)))]

    assert labels() == every
    touch("my/seeds/LUZ/phone.OGG", "my/seeds/FONDO/.hidden.wav", "my/seeds/MÚSICA/desktop.ini")
    assert labels() == ["MÚSICA", "FONDO"]
    touch("my/seeds/FONDO/001.wav", "my/seeds/MÚSICA/001.wav")
    assert labels() == every
    touch(f"my/voices/maria/{normalize('NFD', 'música')}_2.flac", "my/voices/maria/LUZON.wav")
    assert labels("maria", None) == ["LUZ"]
    touch("my/voices/ana/luz/first.mp3")
    assert labels("ana", None) == ["MÚSICA"]
    touch("my/eval/words/LUZ/tom-3.wav", "my/eval/words/MÚSICA/tommy.wav")
    assert labels(None, "tom") == ["MÚSICA"]


def test_the_background_is_asked_for_last_and_once(folder, few):
    def labels(*wanted):
        return [place.label for place in choose(list(wanted), few, MY, None, None)]

    assert labels("FONDO", "LUZ") == ["LUZ", "FONDO"]
    assert labels("LUZ") == ["LUZ", "FONDO"]
    touch("my/seeds/FONDO/001.wav")
    assert labels("LUZ") == ["LUZ"]
    assert labels("FONDO") == ["FONDO"]


def test_labels_are_spelt_as_in_params_yaml_or_composed(folder, few):
    wanted = ["luz", normalize("NFD", "música"), normalize("NFD", "CAFÉ")]
    found = [place.label for place in choose(wanted, few, MY, "maria", None)]
    assert found == ["LUZ", "MÚSICA", normalize("NFC", "CAFÉ")]


def test_a_folder_in_another_spelling_is_not_doubled(folder, few):
    touch("my/seeds/Luz/001.wav")
    assert shown(choose(["LUZ"], few, MY, None, None))[0] == "my/seeds/Luz/002.wav"
    touch("my/seeds/LUZ/001.wav")
    assert shown(choose(["luz"], few, MY, None, None))[0] == "my/seeds/LUZ/002.wav"


@pytest.mark.parametrize(
    ("wanted", "voice", "unseen", "told"),
    [
        (["a/b"], None, None, r"label 'a/b': a label has letters, digits, _ and -.*; write a_b"),
        (["LUZ", "luz"], None, None, r"labels holds one name twice: LUZ LUZ"),
        (["A", "a"], None, None, r"A a: two of these are one folder on Windows and macOS; rename one"),
        (["FONDO"], "maria", None, r"FONDO: is no word of anybody's; leave it out, or --voice and --eval"),
        (["LUZ"], "a b", None, r"--voice 'a b': a name has letters, digits, _ and -.*; write a_b"),
        (["LUZ"], "", None, r"--voice '': a name has letters"),
        (["LUZ"], "../x", None, r"--voice '\.\./x': a name has letters"),
        (["LUZ"], None, "tom_2", r"--eval tom_2: ends as takes are numbered; write tom"),
        (["LUZ"], None, "tom_1-2", r"--eval tom_1-2: ends as takes are numbered; write tom"),
        (["LUZ"], "maria", "tom", r"--voice and --eval: what is trained on cannot measure; name one of them"),
    ],
)
def test_what_cannot_be_a_place_is_one_line(folder, few, wanted, voice, unseen, told):
    with pytest.raises(UserError, match=told) as error:
        choose(wanted, few, MY, voice, unseen)
    assert "\n" not in str(error.value)


def test_a_folder_that_stays_empty_is_not_written_to(folder, few):
    assert few.data.voices == "data/none"
    told = r"data\.voices: is data/none, which stays empty; say --into my to write to my/voices, or set it"
    with pytest.raises(UserError, match=told):
        choose(["LUZ"], few, None, "maria", None)


@given(st.text(min_size=1, max_size=20))
def test_any_name_becomes_a_folder_below_or_one_line(params, name):
    for who in ((name, None), (None, name)):
        try:
            (place,) = choose(["SALIR"], params, MY, *who)
        except UserError as error:
            assert str(error).isprintable()
        else:
            assert place.next().resolve().is_relative_to(MY.resolve())
