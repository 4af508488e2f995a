"""Streams are built from recordings as stated, and read back with what is said in them."""

import numpy as np
import pytest
import soundfile

from conftest import RATE, ROOT
from kws.augment.noise import power
from kws.common.errors import UserError
from kws.evaluation.build import Voice, build_background, build_stream, read_backgrounds, read_voices
from kws.evaluation.streams import Spoken, read_both, read_streams, write_labels
from kws.recordings.audio import read_audio

LABELS = ["SALIR", "REPETIR", "FONDO"]


@pytest.fixture
def config(params):
    return params.stream.model_copy(update={"p_reverb": 0.0})


def unit(audio):
    return audio / np.float32(np.sqrt(power(audio)))


@pytest.fixture(scope="module")
def voice(word):
    """Says REPETIR twice, three near misses and two sentences."""
    talk = read_audio(ROOT / "data/eval/talk/af_heart_0003.ogg", RATE)
    return Voice([("REPETIR", unit(word))] * 2, [unit(word[::-1])] * 3, [unit(talk)] * 2)


def build(voice, condition, config, backgrounds=None, rir=None):
    return build_stream("me", voice, condition, backgrounds or {}, rir, config, RATE, "FONDO")


def test_voices_are_read_with_all_they_say(params):
    voices = read_voices(ROOT / "data/eval", params.keywords, RATE, 1.0)
    assert len(voices) == 10
    assert list(voices) == sorted(voices)
    for voice in voices.values():
        assert sorted(label for label, _ in voice.keywords) == params.keywords
        assert len(voice.near_misses) == 22
        assert 13 <= len(voice.talk) <= 16
        assert all(power(audio) == pytest.approx(1, rel=1e-3) for audio in voice.near_misses)


def test_parts_that_are_not_there_are_left_out(tmp_path, word):
    (tmp_path / "words/SALIR").mkdir(parents=True)
    soundfile.write(tmp_path / "words/SALIR/ana.wav", word, RATE)
    (tmp_path / "talk").mkdir()
    soundfile.write(tmp_path / "talk/lunes.wav", word, RATE)
    voices = read_voices(tmp_path, ["SALIR", "REPETIR"], RATE, 1.0)
    assert {name: (len(v.keywords), len(v.talk)) for name, v in voices.items()} == {
        "ana": (1, 0),
        "lunes": (0, 1),
    }
    assert read_backgrounds(tmp_path, RATE) == {}


def test_a_clean_stream_holds_each_word_where_it_says(voice, config):
    audio, spoken = build(voice, 0, config)
    assert [said.label for said in spoken].count("REPETIR") == 2
    assert [said.label for said in spoken].count("FONDO") == 1
    assert (np.diff([said.start for said in spoken]) > 0).all()
    word = voice.keywords[0][1]
    for said in spoken:
        assert said.end - said.start == pytest.approx(len(word) / RATE, abs=1e-3)
        part = audio[round(said.start * RATE) :][: len(word)]
        expected = word if said.label == "REPETIR" else word[::-1]
        assert np.corrcoef(part, expected)[0, 1] > 0.99
    low, high = config.level_dbfs
    assert low - 0.1 <= 20 * np.log10(np.abs(audio).max()) <= high + 0.5


def test_each_near_miss_is_said_in_one_condition_and_everything_else_in_all(voice, config):
    said = [[s.label for s in build(voice, condition, config)[1]] for condition in range(3)]
    assert [labels.count("FONDO") for labels in said] == [1, 1, 1]
    assert [labels.count("REPETIR") for labels in said] == [2, 2, 2]


@pytest.mark.parametrize(("condition", "snr_db"), [(1, 10), (2, 0)])
def test_noise_lies_under_speech_at_its_snr(voice, config, condition, snr_db):
    """Speech counts only while somebody speaks."""
    fan = {"fan": read_audio(ROOT / "data/seeds/FONDO/000_ventilador.ogg", RATE)}
    audio, spoken = build(voice, condition, config, fan)
    silent = np.ones(len(audio), bool)
    for said in spoken:
        silent[round(said.start * RATE) : round(said.end * RATE)] = False
    words = ~silent
    noise = np.sort([power(audio[i : i + 1600]) for i in range(0, len(audio) - 1600, 1600)])[:5].mean()
    speech = power(audio[words]) - noise
    assert 10 * np.log10(speech / noise) == pytest.approx(snr_db, abs=1.5)


def test_a_room_rings_on_after_the_word(voice, config):
    def rir(index):
        echo = np.zeros(8000, np.float32)
        echo[0], echo[4000] = 0.9, 0.4
        return echo

    dry, spoken = build(voice, 0, config)
    wet, _ = build(voice, 0, config.model_copy(update={"p_reverb": 1.0}), rir=rir)
    end = round(spoken[-1].end * RATE)
    assert power(wet[end + 2000 : end + 4000]) > 10 * power(dry[end + 2000 : end + 4000])


def test_streams_depend_on_their_seed_alone(voice, config):
    once, again = build(voice, 1, config), build(voice, 1, config)
    assert once[0].tobytes() == again[0].tobytes()
    assert once[1] == again[1]
    assert build(voice, 1, config.model_copy(update={"seed": 2}))[1] != once[1]


def test_backgrounds_alone_are_quieter_than_speech(config):
    fan = read_audio(ROOT / "data/eval/backgrounds/vacuum.ogg", RATE)
    peak = np.abs(build_background("vacuum", fan, config)).max()
    assert config.level_dbfs[0] - 11 <= 20 * np.log10(peak) <= config.level_dbfs[1] - 9


@pytest.fixture
def folder(tmp_path, word):
    for name in ("ana/clean.wav", "ana/10dB.wav", "eva/clean.wav", "long.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, word, RATE)
    return tmp_path


def test_what_is_written_is_read(folder):
    said = {"ana/clean.wav": [Spoken("SALIR", 0.1, 0.7), Spoken("FONDO", 1.25, 2)], "eva/clean.wav": []}
    write_labels(folder / "labels.csv", said)
    streams = {stream.name: stream for stream in read_streams(folder, LABELS, "FONDO")}
    assert list(streams) == ["ana/10dB.wav", "ana/clean.wav", "eva/clean.wav", "long.flac"]
    assert streams["ana/clean.wav"].spoken == said["ana/clean.wav"]
    assert streams["long.flac"].spoken == []
    assert [stream.group for stream in streams.values()] == ["ana", "ana", "eva", "long.flac"]
    assert [stream.tuning for stream in streams.values()] == [False, False, False, True], "ana says a keyword"
    assert [stream.condition for stream in streams.values()] == ["10dB", "clean", "clean", "long"]
    assert {s.condition for s in read_streams(folder, LABELS, "FONDO", "recordings")} == {"recordings"}


def test_recordings_without_a_table_hold_no_keyword(folder):
    assert all(stream.spoken == [] for stream in read_streams(folder, LABELS, "FONDO"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\nlong.flac,SALIR\n", "expected the columns file,label,start,end"),
        ("file,label,start,end\nlang.flac,SALIR,1,2\n", "line 2: no recording lang.flac beside it"),
        ("file,label,start,end\nlong.flac,SALIRR,1,2\n", "label SALIRR, expected one of SALIR REPETIR FONDO"),
        ("file,label,start,end\nlong.flac,SALIR,one,2\n", "start and end must be seconds"),
        ("file,label,start,end\nlong.flac,SALIR,1\n", "line 2: has no end"),
        ("file,label,start,end\n" + 2 * "long.flac,SALIR,1,2\n", "line 3: says again what an earlier line"),
        ("file,label,start,end\nlong.flac,SALIR,2,1\n", "start 2 and end 1, expected 0 <= start < end"),
    ],
)
def test_a_wrong_table_is_one_clear_line(folder, text, says):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=says) as error:
        read_streams(folder, LABELS, "FONDO")
    assert str(folder / "labels.csv") in str(error.value)
    assert "\n" not in str(error.value)


def test_other_tables_are_not_overlooked(folder):
    (folder / "label.csv").write_text("")
    with pytest.raises(UserError, match=r"label\.csv: what is said is read from .*labels\.csv alone; rename"):
        read_streams(folder, LABELS, "FONDO")


def test_a_voice_that_was_recorded_too_is_in_one_half(tmp_path, word):
    made, own = tmp_path / "made", tmp_path / "own"
    for path in (
        *(made / f"{name}/clean.flac" for name in ("ana", "eva")),
        own / "eva/1.flac",
        own / "leo/1.flac",
    ):
        path.parent.mkdir(parents=True)
        soundfile.write(path, word, RATE)
    said = [Spoken("SALIR", 0.1, 0.7)]
    write_labels(made / "labels.csv", {"ana/clean.flac": said, "eva/clean.flac": said})
    write_labels(own / "labels.csv", {"eva/1.flac": said, "leo/1.flac": said})
    assert {s.group: s.tuning for s in read_streams(own, LABELS, "FONDO")} == {"eva": False, "leo": True}
    both = read_both(made, own, LABELS, "FONDO")
    halves = [(s.group, s.condition, s.tuning) for s in both]
    recorded = [("eva", "recordings", True), ("leo", "recordings", True)]
    assert halves == [("ana", "clean", False), ("eva", "clean", True), *recorded]


def test_each_half_has_its_share_of_voices_and_of_backgrounds(tmp_path, word):
    """Names alone would put both voices that say keywords into one half."""
    names = ("ana/clean", "bus/background", "eva/clean", "fan/background", "ida/clean", "leo/clean")
    for name in names:
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / f"{name}.flac", word, RATE)
    said = [Spoken("SALIR", 0.1, 0.7)]
    write_labels(tmp_path / "labels.csv", {"ana/clean.flac": said, "eva/clean.flac": said})
    tuning = {s.group for s in read_streams(tmp_path, LABELS, "FONDO") if s.tuning}
    assert tuning == {"eva", "fan", "leo"}
