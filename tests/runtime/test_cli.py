"""Audio becomes the same events in the evaluation, in `spot`, in `listen` and on the board."""

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import RATE, ROOT, changed
from handsets import record
from kits import LABELS, SPEC, write_models
from kws.bundle.wheel import sources
from kws.common.errors import UserError
from kws.detector import Averages, Trigger
from kws.evaluation.scoring import score_streams
from kws.evaluation.streams import Stream
from kws.features.streaming import n_windows
from kws.runtime.backends import open_session
from kws.runtime.cli import app
from kws.runtime.inference import Classifier
from kws.runtime.kit import read_kit
from kws.runtime.listen import listen
from kws.runtime.source import read_blocks
from kws.runtime.spotter import Spotter

BLOCKED = [
    "torch",
    "lightning",
    "dvc",
    "hydra",
    "omegaconf",
    "scipy",
    "sklearn",
    "pydantic",
    "onnx",
    "joblib",
]
OPTIONAL = ["axengine", "matplotlib", "onnxruntime", "paho", "sounddevice", "soxr", "webrtcvad"]


@pytest.fixture(scope="session")
def models(tmp_path_factory, front_end):
    return write_models(tmp_path_factory.mktemp("models"), front_end)


@pytest.fixture(scope="session")
def kit(models):
    return read_kit(models / "kws.onnx", models / "detector.json")


@pytest.fixture(scope="session")
def stream(tmp_path_factory, word, fan):
    """20 s of a fan in which a word is said now and then; a WAV of 44.1 kHz in stereo, and FLAC at 16 kHz."""
    audio = 0.05 * fan[: 20 * RATE]
    for second in (2, 5, 6, 11, 17):
        audio[second * RATE : second * RATE + len(word)] += word
    folder = tmp_path_factory.mktemp("streams")
    soundfile.write(folder / "stream.flac", audio, RATE)
    fine = soxr.resample(audio, RATE, 44100)
    soundfile.write(folder / "stream.wav", np.stack([fine, 0.5 * fine], axis=1), 44100)
    return folder / "stream.flac"


def heard(kit, blocks):
    spotter = Spotter(kit)
    return [event for block in blocks for event in spotter.push(block).events]


def run(capsys, *args):
    """Run a command of the board and return its exit status or message, its output and its complaints."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["kws", *map(str, args)])
            app()
    except SystemExit as end:
        status = end.code
    return status, *capsys.readouterr()


def options(models):
    return "--model", models / "kws.onnx", "--detector", models / "detector.json"


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_spot_finds_exactly_the_events_of_the_evaluation(capsys, models, kit, stream, suffix):
    path = stream.with_suffix(suffix)
    evaluated = Stream(path, path.name, "voice", "clean", False, [])
    (_, scores), *_ = score_streams(models / "kws.onnx", [evaluated], kit.front_end, SPEC.rules.hop_ms)
    on = np.array([[SPEC.on[keyword] for keyword in SPEC.keywords]])
    fired = Trigger(SPEC.rules, on).push(Averages(SPEC.rules, 2).push(scores[:, :2]))
    ends = fired.ends(SPEC.rules, SPEC.window_s)
    expected = [(SPEC.keywords[k], e, s) for k, e, s in zip(fired.keyword, ends, fired.score, strict=True)]
    assert len(expected) > 4
    events = heard(kit, read_blocks(path, RATE, 10))
    assert [(event.label, event.end, event.score) for event in events] == expected
    status, out, _ = run(capsys, "spot", path, "--format", "json", *options(models))
    told = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(t["label"], t["end"], t["score"]) for t in told] == [
        (label, round(end, 3), round(score, 4)) for label, end, score in expected
    ]


def test_other_operating_points_hear_more_or_less(capsys, models, kit, stream):
    """Each asks the same code for its events, whatever they are asked by, and from any chunking."""

    def events(command, *args):
        status, out, _ = run(capsys, *command, *args, *options(models))
        assert status == 0
        return [tuple(json.loads(line)[k] for k in ("label", "end", "score")) for line in out.splitlines()]

    counts = []
    for args in (["--fa-per-hour", "0.5"], [], ["--fa-per-hour", 10, "--sensitivity", "SI=-1"]):
        found = events(["spot", stream, "--format", "json"], *args)
        assert found == events(["listen", "--from-file", stream, "--fast", "--json"], *args)
        counts.append([sum(label == name for label, *_ in found) for name in ("SI", "NO")])
    few, usual, many = counts
    assert few[1] == 0 < usual[1], "NO never fires at half a false accept an hour"
    assert few[0] <= usual[0] < many[0]
    status, out, _ = run(capsys, "spot", stream, "--fa-per-hour", 100, *options(models))
    assert (status, out) == (
        "error: --fa-per-hour 100: expected 0.5 to 10, for which the model has thresholds;"
        " another detector.target_fa_per_hour adds a rate",
        "",
    )


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 20 * RATE), max_size=6))
def test_any_chunking_gives_the_same_events(kit, stream, cuts):
    audio, _ = soundfile.read(stream, dtype="float32")
    assert heard(kit, np.split(audio, sorted(cuts))) == heard(kit, [audio])


def test_events_as_table_json_and_label_track(capsys, models, stream):
    texts = {}
    for form in ("table", "json", "audacity"):
        status, texts[form], _ = run(capsys, "spot", stream, "--format", form, *options(models))
        assert status == 0
    events = [json.loads(line) for line in texts["json"].splitlines()]
    assert all(event["file"] == str(stream) and event["label"] in LABELS for event in events)
    tracks = [line.split("\t") for line in texts["audacity"].splitlines()]
    assert [(float(a), float(b), c.split()[0]) for a, b, c in tracks] == [
        (event["start"], event["end"], event["label"]) for event in events
    ]
    heading, *rows = texts["table"].splitlines()
    assert heading.split() == ["start", "s", "end", "s", "label", "score"]
    assert [row.split()[2] for row in rows] == [event["label"] for event in events]


def test_listening_to_a_file_gives_the_events_of_spot_and_keeps_count(capsys, models, kit, stream):
    _, spot, _ = run(capsys, "spot", stream, "--format", "json", *options(models))
    args = ("listen", "--from-file", stream, "--fast", "--json", *options(models))
    status, out, err = run(capsys, *args)
    assert status == 0
    told = [json.loads(line) for line in spot.splitlines()]
    assert [json.loads(line) for line in out.splitlines()] == [
        {k: v for k, v in event.items() if k != "file"} for event in told
    ]
    assert err.startswith(f"{n_windows(20 * RATE, kit.front_end, 100)} windows, one every 100 ms; 0 overruns")


def test_raw_audio_comes_through_a_pipe(models, stream):
    """As on a board: `arecord -t raw … | kws listen --from-file - --json`."""
    audio, _ = soundfile.read(stream, dtype="int16")
    command = [sys.executable, "-m", "kws.runtime", "listen", "--from-file", "-", "--json", *options(models)]
    done = subprocess.run(command, input=audio.tobytes(), capture_output=True, cwd=ROOT, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(events) > 4
    assert done.stderr.startswith(b"191 windows")


def test_a_reader_that_leaves_ends_it_quietly(models, stream):
    command = [sys.executable, "-m", "kws.runtime", "spot", *[stream] * 40, *options(models)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


class Counter:
    """Notes the memory in use after every minute of audio."""

    def __init__(self):
        self.samples, self.megabytes = 0, []

    def push(self, audio, heard):
        before, self.samples = self.samples, self.samples + len(audio)
        if self.samples // (60 * RATE) > before // (60 * RATE):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    def close(self):
        self.closed = True


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat_and_no_hop_is_missed_or_doubled(kit, stream, tmp_path):
    """Five minutes in hops of 100 ms, with what is heard saved; for eight hours see docs/runtime.md."""
    from kws.runtime.recorder import Recorder

    audio, _ = soundfile.read(stream, dtype="float32")
    long = tmp_path / "long.flac"
    soundfile.write(long, np.tile(audio, 15), RATE)
    spotter, counter = Spotter(kit), Counter()
    recorder = Recorder(tmp_path / "saved", kit.detector, RATE, "long")
    samples = listen(read_blocks(long, RATE, 0.1), spotter, [recorder, counter])
    assert samples == counter.samples == 300 * RATE
    assert spotter.windows == n_windows(samples, kit.front_end, 100) == 2991
    assert len(counter.megabytes) == 5
    assert max(counter.megabytes) - counter.megabytes[0] <= 5
    assert counter.closed


def test_it_starts_without_what_only_training_needs():
    """In a fresh interpreter in which those packages, and the optional ones, cannot be imported at all."""
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources()]
    imports = [name.removesuffix(".__init__") for name in modules if not name.endswith("__main__")]
    code = f"import sys; sys.modules.update(dict.fromkeys({BLOCKED + OPTIONAL})); import {', '.join(imports)}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_kit_fits_together_or_is_refused(tmp_path, front_end):
    folder = write_models(tmp_path, front_end)
    model, detector = folder / "kws.onnx", folder / "detector.json"
    with pytest.raises(UserError, match=r"none\.onnx: no such model; make it with `dvc repro`"):
        read_kit(tmp_path / "none.onnx", detector)
    with pytest.raises(UserError, match=r"none\.json: no such detector"):
        read_kit(model, tmp_path / "none.json")
    with pytest.raises(UserError, match=r"kws\.tflite: expected a model ending in \.onnx or \.axmodel"):
        open_session(tmp_path / "kws.tflite")
    write_models(tmp_path / "other", front_end, replace(SPEC, labels=["NO", "SI", "FONDO"]))
    with pytest.raises(UserError, match=r"detector\.json: made for other labels"):
        read_kit(model, tmp_path / "other/detector.json")
    write_models(tmp_path / "silent", front_end, replace(SPEC, on={"SI": 0.5}))
    for values, message in (
        ({"window_s": 2.0}, "windows are 2 s, the model hears 1 s"),
        (
            {"rules": replace(SPEC.rules, hop_ms=25)},
            "hop_ms is 25, expected a multiple of the front end's 10",
        ),
    ):
        write_models(tmp_path / "other", front_end, replace(SPEC, **values))
        with pytest.raises(UserError, match=message):
            read_kit(tmp_path / "other/kws.onnx", tmp_path / "other/detector.json")
    with pytest.raises(UserError, match="no threshold for NO"):
        read_kit(tmp_path / "silent/kws.onnx", tmp_path / "silent/detector.json")
    detector.write_text('{"labels": []}')
    with pytest.raises(UserError, match=r"detector\.json: not a detector of this version"):
        read_kit(model, detector)
    model.write_bytes(b"junk")
    with pytest.raises(UserError, match=r"kws\.onnx: cannot be loaded"):
        read_kit(model, detector)


def test_a_model_names_its_own_front_end(tmp_path, front_end):
    narrow = changed(front_end, n_mels=40, clip_s=0.8)
    folder = write_models(tmp_path, narrow, replace(SPEC, window_s=0.8))
    assert read_kit(folder / "kws.onnx", folder / "detector.json").front_end == narrow


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["spot", "none.wav"], "error: none.wav: no such file; check the path"),
        (["spot", "a.wav", "b.wav", "--format", "audacity"], "--format audacity take one at a time"),
        (["listen", "--from-file", "none.wav"], "error: none.wav: no such file; check the path"),
        (["listen", "--bundle", "nowhere"], "error: nowhere: not a bundle"),
        (["listen", "--command", "no-such-program", "--from-file", "x"], "--command: no program 'no-such"),
        (["listen", "--mqtt", "http://host/topic", "--from-file", "x"], "--mqtt: expected mqtt://host"),
    ],
)
def test_bad_input_gets_one_line(capsys, models, args, message):
    status, out, err = run(capsys, *args, *options(models))
    assert message in status
    assert "\n" not in status
    assert "Traceback" not in out + err


def test_a_file_that_cannot_be_heard_hides_no_other(capsys, models, stream, tmp_path):
    files = [tmp_path / "none.wav", stream, tmp_path]
    status, out, err = run(capsys, "spot", *files, "--format", "json", *options(models))
    assert status == "error: 2 of 3 files could not be heard to their end"
    assert {json.loads(line)["file"] for line in out.splitlines()} == {str(stream)}
    assert len(out.splitlines()) > 4
    assert err.splitlines() == [
        f"error: {tmp_path}/none.wav: no such file; check the path",
        f"error: {tmp_path}: is a folder; name the files in it, as {tmp_path}/*.wav",
    ]


def test_a_word_of_less_than_a_window_is_heard_or_told_of(capsys, models, word, tmp_path):
    soundfile.write(tmp_path / "word.wav", word[: round(0.81 * RATE)], RATE)
    spot = ("spot", tmp_path / "word.wav", *options(models))
    _, out, err = run(capsys, *spot)
    assert not err
    told = out.splitlines()[1:]
    assert told and all(line.split()[2] in ("SI", "NO", "nearest") for line in told)
    _, out, _ = run(capsys, *spot, "--scores")
    assert [line.split()[0] for line in out.splitlines()[-2:]] in (["SI", "NO"], ["NO", "SI"])
    _, out, _ = run(capsys, *spot, "--scores", "--format", "json")
    scores = {told["keyword"]: told for told in map(json.loads, out.splitlines()) if "keyword" in told}
    assert scores.keys() == {"SI", "NO"}
    assert all(0 < told["highest"] <= 1 and told["threshold"] == 0.75 for told in scores.values())
    assert "no place" in run(capsys, *spot, "--scores", "--format", "audacity")[0]
    args = ("listen", "--from-file", tmp_path / "word.wav", "--fast", *options(models))
    shorter = "shorter than one of 1 s, `kws spot` hears short files"
    assert shorter in run(capsys, *args)[2]
    absent = ("listen", "--from-file", tmp_path / "none.wav", "--fast", *options(models))
    said, _, err = run(capsys, *absent)
    assert said == f"error: {tmp_path}/none.wav: no such file; check the path"
    assert shorter not in err


def test_a_phone_s_recording_is_heard_as_its_wav_is(capsys, models, stream, tmp_path):
    audio, rate = soundfile.read(stream)
    (tmp_path / "stream.m4a").write_bytes(record("alac.m4a", audio, rate))
    written = ("spot", *options(models))
    status, out, err = run(capsys, *written, tmp_path / "stream.m4a")
    assert (status, err) == (0, "") and out.count("\n") > 2
    assert out == run(capsys, *written, stream)[1]


def test_what_is_odd_about_a_recording_is_said_in_one_line(capsys, models, stream, tmp_path):
    audio, rate = soundfile.read(stream)
    soundfile.write(tmp_path / "loud.wav", 32768 * audio, rate, subtype="FLOAT")
    with warnings.catch_warnings(action="default"):
        status, out, err = run(capsys, "spot", *options(models), tmp_path / "loud.wav")
    assert (status, out) == (0, run(capsys, "spot", *options(models), stream)[1])
    assert err.startswith(f"warning: {tmp_path / 'loud.wav'}: its samples reach ") and err.count("\n") == 1


def test_names_of_files_move_no_cursor(capsys, models, stream, tmp_path):
    hostile = tmp_path / "a\x1b[2J\nb.flac"
    hostile.write_bytes(stream.read_bytes())
    for more in ((), ("--format", "json")):
        _, out, _ = run(capsys, "spot", hostile, stream, *more, *options(models))
        assert out.replace("\n", "").isprintable()
    status, _, err = run(capsys, "spot", f"{hostile}x", f"{hostile}y", *options(models))
    assert (status + err).replace("\n", "").isprintable() and r"a\nb.flacx" in err


def shell(line, *args, stdin=None):
    """Run `kws` with what a shell does to its streams."""
    command = ["sh", "-c", f'"$0" -m kws.runtime "$@" {line}', sys.executable, *map(str, args)]
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_closed_streams_are_told_and_hide_nothing(models, stream, tmp_path):
    spot, heard = ("spot", stream, *options(models)), ("listen", "--from-file", stream, "--fast", "--json")
    for args in (spot, (*heard, *options(models))):
        done = shell(">&-", *args)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert done.stderr.startswith("error: stdout: is closed")
    done = shell("<&-", "listen", "--from-file", "-", *options(models))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: stdin: is closed")
    done = shell("<&-", *heard, *options(models))
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 4
    done = shell("2>&- <&-", *heard, *options(models), "--save-events", tmp_path / "saved")
    assert done.returncode == 0 and all(map(json.loads, done.stdout.splitlines()))
    assert all(path.read_bytes().startswith(b"RIFF") for path in (tmp_path / "saved").rglob("*.wav"))
    done = shell("> /dev/full", *spot)
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_knows_few_letters_gets_what_it_can_show(models, stream, tmp_path):
    named = tmp_path / "música 音.flac"
    named.write_bytes(stream.read_bytes())
    command = [sys.executable, "-m", "kws.runtime", "spot", named, named, *options(models)]
    western = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=western)
    assert (done.returncode, done.stderr) == (0, b"")
    assert r"música \u97f3.flac:" in done.stdout.decode("latin-1")


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_traceback(models, stream, number):
    audio, _ = soundfile.read(stream, dtype="int16")
    command = [sys.executable, "-m", "kws.runtime", "listen", "--from-file", "-", "--json", *options(models)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, cwd=ROOT) as process:
        process.stdin.write(audio.tobytes())
        process.stdin.flush()
        process.stdout.readline()  # it listens
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr.read().decode().splitlines()[-1].endswith("0 overruns")


def test_a_model_that_answers_no_numbers_is_told(kit, stream):
    class Broken:
        get_inputs, get_outputs = kit.model.session.get_inputs, kit.model.session.get_outputs

        def run(self, output_names, input_feed):
            return [np.full((1, 3), np.nan, np.float32)]

    broken = replace(kit, model=Classifier(Broken()))
    with pytest.raises(UserError, match="the model answers NaN"):
        heard(broken, read_blocks(stream, RATE, 10))


def test_the_version_is_told(capsys):
    assert run(capsys, "--version") == (0, f"kws {version('kws')}\n", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kws.runtime.cli.distributions", lambda name: [])
        assert "of unknown version" in run(capsys, "--version")[1]


def test_help_names_every_command_in_its_group_on_one_screen():
    """The groups are those of a person's questions; 80 columns, a window of 40 lines."""
    environment = os.environ | {"COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-c", "from kws.cli import app; app()", "--help"]
    told = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    ).stdout
    assert len(told.splitlines()) <= 40
    groups = {}
    for line in told.splitlines():
        if found := re.match(r"╭─ (.+?) ─", line):
            group = groups.setdefault(found[1], [])
        elif found := re.match(r"│ ([a-z]+) ", line):
            group.append(found[1])
    assert groups["Hear and look"] == ["try", "wavs", "features", "spot", "listen"]
    assert "review" in groups["Record your own words"]
    assert "compose" in groups["Set the project up"]
    assert {"bundle", "decode", "doctor"} <= set(groups["Compiled models and boards"])
    assert "Commands" not in groups, "a command belongs to no group"
    assert "--install-completion" in told and "--version" in told


def test_a_picture_of_a_recording(capsys, models, stream, tmp_path):
    status, *_ = run(capsys, "spot", stream, "--plot", tmp_path / "stream.png", *options(models))
    assert status == 0
    assert (tmp_path / "stream.png").read_bytes().startswith(b"\x89PNG")
    status, *_ = run(capsys, "spot", stream, "--plot", tmp_path / "stream.bmp", *options(models))
    assert "expected a name ending in .png, .svg, .pdf" in status
    assert [path.name for path in tmp_path.iterdir()] == ["stream.png"]
