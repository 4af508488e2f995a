"""`kws check` says of each recording what it is like, and of all of them what training would make of them."""

import csv
import shlex
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from conftest import RATE, ROOT, SEEDS, changed, real
from kws.cli import cli
from kws.collect import alike, table
from kws.collect.check import Checked, check
from kws.collect.folders import find_folders
from kws.common.errors import UserError
from kws.evaluation.recordings import centre
from kws.recordings.audio import read_recording
from kws.recordings.verdict import judge

PEOPLE = ROOT.parent / "shared/data/people/bench"


def scene(word, peak=0.3, seconds=2.5, at=1.0):
    audio = 1e-3 * np.random.default_rng(0).standard_normal(round(seconds * RATE), np.float32)
    audio[round(at * RATE) :][: len(word)] += peak * word / np.abs(word).max()
    return audio


@pytest.fixture
def my(tmp_path, monkeypatch, fan, word) -> Path:
    """A project in which a folder `my` holds two words and background."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/encoder").symlink_to(ROOT / "data/encoder")
    my = Path("my")
    put(my / "seeds/MÚSICA/001.wav", scene(word))
    put(my / "seeds/SALIR/001.wav", read_recording(SEEDS / "SALIR/000_salir.wav", RATE))
    put(my / "seeds/FONDO/1.wav", fan[: 20 * RATE])
    put(my / "seeds/FONDO/2.wav", fan[20 * RATE :] * 0.9)
    return my


def put(path: Path, audio, rate=RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate)


def checked(folder: Path, background: str | None = None) -> Checked:
    return check(find_folders(folder, background), RATE, 1.0)


def run(*words: str, columns: int = 100):
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(cli, list(words))


# --- the folders


def test_a_word_that_lies_in_no_folder_is_not_lost(my):
    shutil.copy(my / "seeds/SALIR/001.wav", my / "seeds/LUZ.wav")
    with pytest.raises(
        UserError, match=r"my/seeds/LUZ\.wav: lies beside the folders of words; put it into one"
    ):
        find_folders(my)
    (my / "seeds/LUZ.wav").unlink()
    (my / "seeds/LUZ").symlink_to("nowhere")
    with pytest.raises(UserError, match="my/seeds/LUZ: is a link to nothing; mend or remove it"):
        find_folders(my)


# --- the table


def test_each_file_has_a_row_and_a_good_folder_is_status_0(my):
    done = run("check", "my")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    rows = [line.split() for line in lines if ".wav" in line]
    assert [row[0] for row in rows] == ["MÚSICA/001.wav", "SALIR/001.wav", "FONDO/1.wav", "FONDO/2.wav"]
    assert rows[0][1:6] == ["2.50", "s", "16", "1", "-10.5"]
    start, stop = map(float, rows[0][-2].split("-"))
    assert (start, stop) == (pytest.approx(1.0, abs=0.1), pytest.approx(1.87, abs=0.1))
    assert [row[-1] for row in rows] == ["ok"] * 4
    assert (
        lines[-1] == "2 of 2 recordings of 2 words can be used, 0 of them are doubtful; 0.5 min of background"
    )


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_no_line_is_longer_than_the_terminal_and_names_keep_beginning_and_end(my, word, columns):
    put(
        my / "seeds/SALIR/a recording with a very long name, as phones give them, of 2026-11-26.wav",
        scene(word, 8),
    )
    put(my / "voices/maría/話す.wav", scene(word))
    folders = find_folders(my)
    lines = [line for line, _ in table.lines(check(folders, RATE, 1.0), RATE, columns)]
    width = max(columns, sum(table.WIDTHS) + table.VERDICT + len(table.WIDTHS) + 1 + table.NAME)
    assert max(map(table.cell_len, lines)) <= width
    assert any(line.startswith("SALIR") and ".wav" in line for line in lines)
    assert len({line.index("verdict") for line in lines if "verdict" in line}) == 1


def test_escape_sequences_in_names_reach_no_terminal(my, word, monkeypatch):
    lines = list(table.lines(checked(my), RATE, 100))
    assert all(line.isprintable() for line, _ in lines)


def test_reasons_stand_below_their_row(my, word):
    put(my / "seeds/SALIR/002.wav", np.clip(scene(word, 8), -1, 1))
    lines = run("check", "my").output.splitlines()
    row = next(n for n, line in enumerate(lines) if line.startswith("SALIR/002.wav"))
    assert lines[row].endswith("doubtful")
    assert "samples are clipped" in lines[row + 1]


def test_without_a_folder_it_is_those_of_params_yaml(my):
    few = (ROOT / "params.yaml").read_text()
    for part in ("seeds", "negatives"):
        few = few.replace(f"{part}: data/{part}", f"{part}: {ROOT}/data/{part}")
    few = few.replace("eval: data/eval", f"eval: {ROOT}/data/none").replace("data/none", f"{ROOT}/data/none")
    Path("params.yaml").write_text(few.replace(f"{ROOT}{ROOT}", f"{ROOT}"))
    done = run("check", columns=200)
    assert done.exit_code == 0, done.output
    assert done.output.count("  ok") == 14
    assert f"{ROOT}/data/negatives: 709 files, " in done.output


def test_the_picture_shows_each_recording(my):
    done = run("check", "my", "--plot", "my.png")
    assert done.exit_code == 0, done.output
    with Image.open("my.png") as picture:
        assert picture.size[0] > 1000
    assert run("check", "my", "--plot", "my.txt").exception is not None


def test_the_recordings_of_one_word_need_neither_background_nor_a_name_that_is_a_label(my):
    (my / "seeds/SALIR").rename(my / "take one")
    done = run("check", str(my / "take one"))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[1].startswith("take one/001.wav")


# --- what would end a run


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda my: shutil.rmtree(my / "seeds/FONDO"), "my/seeds: holds no folder FONDO with background"),
        (lambda my: (my / "seeds/LUZ").mkdir(), "my/seeds/LUZ: holds no audio"),
        (lambda my: put(my / "seeds/LUZ/a.wav", np.zeros(RATE)), "my/seeds/LUZ/a.wav: is silent"),
        (lambda my: (my / "seeds/FONDO/a.wav").write_bytes(b"?"), "my/seeds/FONDO/a.wav: cannot be read"),
        (
            lambda my: (my / "negatives").mkdir() or (my / "negatives/a.wav").write_bytes(b"?"),
            "a.wav: cannot",
        ),
        (
            lambda my: shutil.copytree(my / "seeds/SALIR", my / "seeds/buenos días"),
            "it: mv 'my/seeds/buenos",
        ),
        (lambda my: shutil.copytree(my / "seeds/SALIR", my / "seeds/salir"), "is the same folder as"),
    ],
    ids=["no background", "empty", "silent", "background", "negatives", "name", "case"],
)
def test_what_would_end_a_run_is_an_error_and_status_1(my, spoil, says):
    spoil(my)
    done = run("check", "my", columns=300)
    assert done.exit_code == 1
    assert any(line.startswith("error: ") and says in line for line in done.output.splitlines()), done.output
    assert done.output.endswith("a model cannot be trained on them as they are\n")


def test_a_label_of_which_no_word_fits_is_an_error_and_named_once(my, word):
    put(my / "seeds/LUZ/a.wav", scene(np.concatenate([word, word]), seconds=4))
    assert checked(my).errors == ["my/seeds/LUZ: none of its recordings can be used; record LUZ again"]


def test_accents_of_a_mac_are_one_label_and_the_folder_is_to_be_renamed(my):
    apart = unicodedata.normalize("NFD", "MÚSICA")
    (my / "seeds/MÚSICA").rename(my / "seeds" / apart)
    assert list(find_folders(my).labels) == ["FONDO", "MÚSICA", "SALIR"]
    (error,) = checked(my).errors
    assert error.endswith(f"rename it: mv {shlex.quote(f'my/seeds/{apart}')} 'my/seeds/MÚSICA'")


# --- what to know


def notes(my: Path) -> list[str]:
    return checked(my).notes


def test_a_good_folder_has_no_notes(my):
    assert notes(my) == []


def test_voices_and_evaluation_that_match_no_label_are_named(my, word):
    put(my / "voices/maria/música.wav", scene(word))
    put(my / "voices/maria/LUZ.wav", scene(word))
    put(my / "eval/words/PUERTA/ana.wav", scene(word))
    for part in ("talk", "backgrounds"):
        put(my / f"eval/{part}/ana_1.wav", scene(word))
    found = notes(my)
    assert any(line.startswith("my/voices: ") and "maria/LUZ.wav" in line for line in found), found
    assert any(line.startswith("my/eval/words: ") and "PUERTA" in line for line in found), found
    assert not any("música" in line for line in found if "copy" not in line and "same" not in line)


def test_an_evaluation_without_what_chooses_thresholds_says_how_to_get_it(my, word):
    put(my / "eval/words/SALIR/ana.wav", scene(word))
    assert any("cp -r data/eval/talk data/eval/backgrounds my/eval/" in line for line in notes(my))


def test_too_little_background_is_said(my, fan):
    (my / "seeds/FONDO/2.wav").unlink()
    (line,) = notes(my)
    assert line.startswith("my/seeds/FONDO: 20 s of background in 1 file")


def test_copies_are_said_and_told_apart(my, word):
    audio, salir = scene(word), my / "seeds/SALIR"
    put(salir / "002.wav", scene(word[::-1].copy()))
    put(salir / "003.wav", 0.5 * scene(word[::-1].copy()))
    put(my / "eval/words/MÚSICA/ana.wav", audio)
    put(my / "seeds/VENTANA/001.wav", audio)
    said = "\n".join(notes(my))
    assert f"{salir}/003.wav: is the same recording as {salir}/002.wav; it is used once" in said
    assert "my/eval/words/MÚSICA/ana.wav: is trained on" in said
    assert (
        "my/seeds/VENTANA/001.wav: is the same recording as my/seeds/MÚSICA/001.wav of another label" in said
    )


def test_short_words_are_said(my, word):
    beep = np.hanning(round(0.15 * RATE)) * np.sin(np.arange(round(0.15 * RATE)) * 0.3)
    put(my / "seeds/SI/001.wav", scene(beep.astype(np.float32)))
    found = checked(my)
    if any(
        one.label == "SI" and one.verdict.words for one in found.words
    ):  # a finder of speech may refuse it
        assert any(line.startswith("words below 0.3 s: SI/001.wav (0.") for line in found.notes)


def words_by(speaker: str, *words: str) -> dict[str, list[np.ndarray]]:
    """Clips of words by one speaker of the Arabic commands."""
    if not PEOPLE.is_dir():
        pytest.skip("recordings by people are not on this machine")
    sound, rate = soundfile.read(PEOPLE / "arabic.ogg", dtype="float32")
    with (PEOPLE / "bench.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["speaker"] == speaker and row["take"] == "0"]
    assert rate == RATE
    found = {}
    for row in rows:
        if row["word"] in words:
            audio = sound[int(float(row["start"]) * rate) : int(float(row["end"]) * rate)]
            found[row["word"]] = [centre(audio, slice(0, len(audio)), RATE)]
    return found


def test_words_that_sound_alike_are_named(front_end):
    speaker = speakers()[0]
    encoder = ROOT / "data/encoder/encoder.pt"
    heard = alike.cosines(words_by(speaker, "cancel", "send", "left", "options"), front_end, encoder)
    assert max(heard, key=heard.get) == ("left", "send")
    assert heard["cancel", "options"] < 0.3


def speakers() -> list[str]:
    if not PEOPLE.is_dir():
        pytest.skip("recordings by people are not on this machine")
    with (PEOPLE / "bench.csv").open(encoding="utf-8") as file:
        return sorted({row["speaker"] for row in csv.DictReader(file) if row["set"] == "arabic"})


def test_a_word_without_a_usable_recording_is_like_none(front_end, word, recwarn):
    encoder = ROOT / "data/encoder/encoder.pt"
    assert list(alike.told({"LUZ": [np.resize(word, RATE)], "SOL": []}, front_end, encoder)) == []
    assert not recwarn.list


def test_a_word_and_a_near_miss_of_it_are_alike_and_the_shipped_words_are_not(front_end):
    def clip(path: Path):
        found = judge(path, RATE, 1.0)
        return centre(found.audio, found.takes[0], front_end.clip_samples)

    near = ROOT / "data/eval/near_misses/af_river/repartir.ogg"
    pair = {"REPETIR": [clip(ROOT / "data/eval/words/REPETIR/af_river.wav")], "REPARTIR": [clip(near)]}
    shipped = {path.parent.name: [clip(path)] for path in SEEDS.glob("[!F]*/*.wav")}
    encoder = ROOT / "data/encoder/encoder.pt"
    assert len(shipped) == 7
    assert list(alike.told(shipped, front_end, encoder)) == []
    (line,) = alike.told(pair, front_end, encoder)
    assert line.startswith("REPARTIR and REPETIR sound alike (cosine 0.")


def test_other_features_than_the_encoder_s_are_said_and_no_error(front_end):
    clips = {"A": [np.zeros(RATE, np.float32)], "B": [np.ones(RATE, np.float32)]}
    other = changed(front_end, f_min=100)
    (line,) = alike.told(clips, other, ROOT / "data/encoder/encoder.pt")
    assert "f_min" in line


def test_recordings_by_people_are_judged(tmp_path):
    """A recording of 3.8 s in which a word takes 1.7 s is unusable; the shorter takes are fine."""
    folders = find_folders(real("human_es"))
    found = check(folders, RATE, 1.0)
    assert found.errors == []
    states = {one.name: one.verdict.state for one in found.words}
    assert states["REPETIR/001_repetir.wav"] == "ok"
    assert sum("same recording" in line for line in found.notes) == 2
