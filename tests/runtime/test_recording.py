"""A recording that holds a word and nothing else is heard as a microphone would have heard it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import RATE
from kits import SPEC, write_models
from kws.common.errors import UserError
from kws.runtime import recording
from kws.runtime.kit import assemble, read_kit
from kws.runtime.recording import Highest, Part, decision_s, hear, nothing_heard, scores_json, scores_table
from kws.runtime.source import read_blocks
from kws.runtime.spotter import Spotter


@pytest.fixture(scope="module")
def kit(tmp_path_factory, front_end):
    folder = write_models(tmp_path_factory.mktemp("models"), front_end)
    return read_kit(folder / "kws.onnx", folder / "detector.json")


class Loud:
    """A session that answers `SI` where the middle of a window is loud: where a word lies as in training."""

    def __init__(self, session):
        self.session, self.get_inputs, self.get_outputs = session, session.get_inputs, session.get_outputs

    def run(self, output_names, input_feed):
        ((_, features),) = input_feed.items()
        bands = features[0, 0].mean(axis=1)
        return [np.array([[20 * float(bands[39:59].mean() > bands.mean() + 5), 0, 10]], np.float32)]


@pytest.fixture(scope="module")
def loud(kit):
    return assemble(Loud(kit.model.session), kit.front_end, SPEC, "loud")


@pytest.fixture(scope="module")
def burst():
    return (0.1 * np.random.default_rng(1).standard_normal(RATE // 2)).astype(np.float32)


def write(path, audio):
    soundfile.write(path, audio, RATE, subtype="FLOAT")
    return path


class Faint(Loud):
    """A session that answers `SI` to all that is faint throughout."""

    def run(self, output_names, input_feed):
        ((_, features),) = input_feed.items()
        varied = features[0, 0].mean(axis=1).std() > 1
        return [np.array([[0 if varied else 20, 0, 10]], np.float32)]


def test_what_is_heard_in_the_noise_around_a_file_is_not_of_the_file(kit, burst, tmp_path):
    faint = assemble(Faint(kit.model.session), kit.front_end, SPEC, "faint")
    noise = (1e-4 * np.random.default_rng(2).standard_normal(3 * RATE)).astype(np.float32)
    assert [e for part in hear(faint, write(tmp_path / "noise.wav", noise)) for e in part.events]
    assert not [e for part in hear(faint, write(tmp_path / "word.wav", burst)) for e in part.events]


@pytest.mark.parametrize("before", [0, 0.15, 0.31, 1.0])
@pytest.mark.parametrize("after", [0, 0.31, 1.0])
def test_a_word_is_heard_wherever_it_lies_in_a_short_file(loud, burst, tmp_path, before, after):
    parts = [np.zeros(round(s * RATE), np.float32) for s in (before, after)]
    audio = np.concatenate([parts[0], burst, parts[1]])
    (event,) = [e for part in hear(loud, write(tmp_path / "a.wav", audio)) for e in part.events]
    assert event.label == "SI"
    assert 0 <= event.start <= before + 0.5
    assert before < event.end <= len(audio) / RATE + 1e-9


def test_times_are_those_of_the_file_with_silence_in_it(loud, burst, tmp_path):
    """The same word in a file that is long enough not to be padded."""
    silence = 1e-4 * np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32)
    audio = np.concatenate([silence[:RATE], burst, silence[RATE:]])
    (long,) = [e for p in hear(loud, write(tmp_path / "long.wav", audio)) for e in p.events]
    (short,) = [
        e for p in hear(loud, write(tmp_path / "short.wav", audio[: 2 * RATE + RATE // 2])) for e in p.events
    ]
    assert short.start == pytest.approx(long.start, abs=0.11)
    assert short.end == pytest.approx(long.end, abs=0.11)


@settings(max_examples=10)
@given(block_s=st.floats(0.02, 3))
def test_a_short_file_gives_the_same_in_any_blocks(kit, word, tmp_path_factory, block_s):
    path = write(tmp_path_factory.mktemp("short") / "a.wav", word)

    def heard(seconds):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recording, "BLOCK_S", seconds)
            parts = list(hear(kit, path))
        return np.concatenate([part.averages for part in parts]), [e for part in parts for e in part.events]

    (averages, events), (whole, expected) = heard(block_s), heard(10)
    assert np.array_equal(averages, whole) and events == expected


def test_a_long_file_is_heard_as_it_is(kit, fan, tmp_path):
    """As the evaluation hears it: to the last bit."""
    shortest = round(recording.SHORT * decision_s(SPEC) * RATE)
    for samples in (shortest, 6 * RATE):
        path = write(tmp_path / "long.wav", fan[:samples])
        found = np.concatenate([part.averages for part in hear(kit, path)])
        spotter = Spotter(kit)
        assert np.array_equal(
            found, np.concatenate([spotter.push(b).averages for b in read_blocks(path, RATE, 1)])
        )


def test_what_could_be_read_of_a_broken_short_file_is_heard(loud, burst, tmp_path):
    audio = np.concatenate([burst, np.full(RATE // 2, np.nan, np.float32)])
    parts = hear(loud, write(tmp_path / "a.wav", audio))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="holds NaN"):
        patch.setattr(recording, "BLOCK_S", 0.5)
        events = []
        for part in parts:
            events += part.events
    assert [event.label for event in events] == ["SI"]


def highest(scores, **on):
    found = Highest(replace(SPEC, on={**SPEC.on, **on}))
    found.push(Part(np.array([1.0, 1.1]), np.array(scores), []))
    found.push(Part(np.zeros(0), np.zeros((0, 2)), []))
    return found


def test_where_nothing_is_heard_the_nearest_is_named():
    found = highest([[0.1, 0.5], [0.2, 0.4]])
    assert nothing_heard(found) == "nothing heard; nearest was NO at 1.0 s: 0.5000 of 0.7500"
    assert [line.split() for line in scores_table(found).splitlines()[1:]] == [
        ["NO", "0.5000", "0.7500", "1.0"],
        ["SI", "0.2000", "0.7500", "1.1"],
    ]
    assert json.loads(scores_json(found, file="x").splitlines()[1]) == {
        "file": "x",
        "keyword": "SI",
        "highest": 0.2,
        "threshold": 0.75,
        "end": 1.1,
    }


def test_a_score_that_did_not_hold_and_keywords_that_never_fire_are_told_apart():
    assert nothing_heard(highest([[0, 0.9], [0, 0]])).endswith("0.9000 of 0.7500, but not for 100 ms")
    found = highest([[0, 0.9], [0.1, 0]], NO=2.0)
    assert nothing_heard(found).startswith("nothing heard; nearest was SI")
    assert "never" in scores_table(found)
    assert "every keyword's threshold is above 1" in nothing_heard(highest([[0, 0], [0, 0]], SI=2.0, NO=2.0))
