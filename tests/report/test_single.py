"""`kws features`: one recording's log-mel, to look at or to use elsewhere."""

import numpy as np
import pytest
import soundfile

from conftest import RATE, SEEDS
from kws.common.errors import UserError
from kws.features.logmel import features, log_mel
from kws.report.single import show_features

RECORDING = SEEDS / "REPETIR/000_repetir.wav"


def test_what_is_written_is_what_the_model_would_see(tmp_path, front_end, word):
    for decibels, expected in ((False, features), (True, log_mel)):
        text = show_features(RECORDING, front_end, decibels, tmp_path / "out.npy", tmp_path / "out.png")
        found = np.load(tmp_path / "out.npy", allow_pickle=False)
        assert np.array_equal(found, expected(word, front_end))
        assert found.dtype == np.float32
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
        assert "0.87 s, 85 frames of 64 bands" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npy", "out.png"]


@pytest.mark.parametrize("seconds", [0.02, 61])
def test_a_recording_of_a_word_is_expected(tmp_path, front_end, seconds):
    soundfile.write(tmp_path / "a.wav", np.zeros(round(seconds * RATE)), RATE)
    with pytest.raises(UserError, match=r"expected one frame to 60 s"):
        show_features(tmp_path / "a.wav", front_end, False, None, None)
