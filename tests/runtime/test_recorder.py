"""What is heard is kept, with the audio around it, until the disk is full."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from conftest import RATE, ROOT
from kws.detector import Detector, DetectorSpec, Rules
from kws.runtime.recorder import Recorder, keep
from kws.runtime.spotter import Heard

SPEC = DetectorSpec(["A", "FONDO"], "FONDO", 1.0, Rules(100, 100, 100, 1000, 0.7, 1000, 0), {"A": 0.8})
SECONDS = 12


@pytest.fixture
def audio():
    """Each sample tells its place: a ramp of 12 s in 16-bit steps."""
    return (np.arange(SECONDS * RATE) % 30_000).astype(np.float32) / 32768


def record(folder, audio, peaks, block=RATE // 10):
    """Record a stream whose windows that end at these seconds have these scores."""
    detector, recorder = Detector(SPEC), Recorder(folder, SPEC, RATE, "night")
    windows = 0
    for start in range(0, len(audio), block):
        part = audio[start : start + block]
        total = max(0, (start + len(part) - RATE) // 1600 + 1)
        scores = np.array([peaks.get(round(1 + w / 10, 1), 0.0) for w in range(windows, total)])
        averages, windows = scores[:, None], total
        recorder.push(part, Heard(averages, detector.push(averages)))
    recorder.close()
    return recorder


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("block", [RATE // 10, RATE // 50, 3 * RATE])
def test_the_audio_around_events_and_near_misses_is_kept(tmp_path, audio, block):
    record(tmp_path, audio, {3.0: 0.9, 6.0: 0.6, 11.9: 0.85}, block)
    assert files(tmp_path) == [
        "events/A/night_000003.0s_0.9000.wav",
        "events/A/night_000011.9s_0.8500.wav",
        "near_misses/A/night_000006.0s_0.6000.wav",
    ]
    for name, first, last in (
        ("events/A/night_000003.0s_0.9000.wav", 1.5, 3.5),
        ("near_misses/A/night_000006.0s_0.6000.wav", 4.5, 6.5),
        ("events/A/night_000011.9s_0.8500.wav", 10.4, 12),
    ):
        kept, rate = soundfile.read(tmp_path / name, dtype="float32")
        assert rate == RATE
        assert np.array_equal(kept, audio[round(first * RATE) : round(last * RATE)])


def test_what_became_an_event_was_no_near_miss(tmp_path, audio):
    record(tmp_path, audio, {2.9: 0.5, 3.0: 0.6, 3.1: 0.9, 3.3: 0.3, 3.4: 0.55, 8.0: 0.4})
    assert files(tmp_path) == ["events/A/night_000003.1s_0.9000.wav"]


def test_an_event_at_the_very_beginning_is_kept_from_there(tmp_path, audio):
    record(tmp_path, audio, {1.0: 0.9})
    kept, _ = soundfile.read(tmp_path / "events/A/night_000001.0s_0.9000.wav", dtype="float32")
    assert np.array_equal(kept, audio[: round(1.5 * RATE)])


def test_two_listeners_in_one_folder_take_nothing_from_each_other(tmp_path, audio):
    """Both hear at the same second, under one name, and other things."""
    peaks = {3.0: 0.9}
    for part in (audio, audio[::-1].copy(), audio):
        record(tmp_path, part, peaks)
    assert files(tmp_path) == ["events/A/night_000003.0s_0.9000-2.wav", "events/A/night_000003.0s_0.9000.wav"]
    kept = [soundfile.read(tmp_path / name, dtype="float32")[0] for name in files(tmp_path)]
    assert np.array_equal(kept[1], audio[round(1.5 * RATE) : round(3.5 * RATE)])
    assert np.array_equal(kept[0], audio[::-1][round(1.5 * RATE) : round(3.5 * RATE)])


def test_many_that_write_one_name_at_once_all_keep_what_they_have(tmp_path):
    contents = [bytes([index]) * 50_000 for index in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda content: keep(tmp_path / "a.wav", content), contents))
    assert sorted((tmp_path / name).read_bytes() for name in files(tmp_path)) == contents
    assert all(name.endswith(".wav") for name in files(tmp_path))


def test_what_a_killed_listener_left_is_left_alone(tmp_path):
    (tmp_path / "a.wav.partial").write_bytes(b"half")
    keep(tmp_path / "a.wav", b"whole")
    assert files(tmp_path) == ["a-2.wav", "a.wav.partial"]


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
sys.path[:0] = ["tests", "tests/runtime"]
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
from test_recorder import RATE, record
recorder = record(Path(sys.argv[1]), np.zeros(12 * RATE, np.float32), {3.0: 0.9, 6.0: 0.9})
assert recorder.failure is not None
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_disk_that_takes_no_more_is_said_once_and_leaves_nothing_broken(tmp_path):
    """Listening goes on: a voice control must not die of its collection."""
    code = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=True)
    (line,) = done.stderr.splitlines()
    assert line.startswith("warning: ")
    assert line.endswith("; no more audio is saved")
    assert files(tmp_path) == []
