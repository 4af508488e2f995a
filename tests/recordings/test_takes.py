"""One word said twice is told from two words."""

import numpy as np

from conftest import RATE, SEEDS, real
from kws.recordings.audio import read_audio
from kws.recordings.takes import LONGER, alike


def test_a_word_is_like_itself_slower_and_quieter(word):
    slower = np.interp(np.arange(0, len(word) - 1, 0.93), np.arange(len(word)), word).astype(np.float32)
    assert alike(word, word, RATE)
    assert alike(word, 0.2 * slower, RATE)


def test_the_words_of_one_voice_are_unlike_each_other():
    words = [read_audio(path, RATE) for path in sorted(SEEDS.rglob("*.wav"))]
    pairs = [(a, b) for i, a in enumerate(words) for b in words[:i]]
    assert len(pairs) == 21
    assert not any(alike(a, b, RATE) for a, b in pairs)


def test_what_is_much_longer_is_no_take(word):
    assert not alike(word, np.resize(word, int((LONGER + 0.1) * len(word))), RATE)


def test_of_people_most_takes_are_alike_and_few_words_are():
    folder = real("fsdd") / "recordings"
    digits = {
        (voice, digit, take): read_audio(folder / f"{digit}_{voice}_{take}.wav", RATE)
        for voice in ("jackson", "theo", "nicolas")
        for digit in range(0, 10, 2)
        for take in (3, 17)
    }
    names = list(digits)
    same = [alike(digits[n], digits[(*n[:2], 17)], RATE) for n in names if n[2] == 3]
    other = [
        alike(digits[n], digits[m], RATE)
        for n in names
        for m in names
        if n[0] == m[0] and n[1] < m[1] and n[2] == m[2] == 3
    ]
    assert np.mean(same) > 0.5
    assert np.mean(other) < 0.1
