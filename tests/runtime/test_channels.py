"""Which channels of a microphone are heard."""

import numpy as np

from kws.runtime.channels import Mixer


def sound(level, n=1600):
    return (level * np.random.default_rng(0).standard_normal(n)).astype(np.float32)


def test_a_channel_that_is_asked_for_is_taken_as_it_is():
    left, right = sound(0.1), 0 * sound(0.1)
    block = np.stack([left, right], axis=1)
    assert np.array_equal(Mixer(1).push(block), left)
    assert np.array_equal(Mixer(2).push(block), right)


def test_silent_channels_make_no_other_one_fainter():
    speech = sound(0.1)
    block = np.stack([0 * speech, 0.01 * speech, speech], axis=1)
    assert np.array_equal(Mixer().push(block), speech)


def test_channels_that_hear_one_room_are_averaged():
    one, other = sound(0.1), sound(0.05)[::-1].copy()
    found = Mixer().push(np.stack([one, other], axis=1))
    assert np.allclose(found, (one + other) / 2)


def test_a_channel_that_spoke_once_stays():
    mixer = Mixer()
    speech = sound(0.1)
    mixer.push(np.stack([speech, speech], axis=1))
    assert np.allclose(mixer.push(np.stack([speech, 0 * speech], axis=1)), speech / 2)


def test_samples_that_are_no_numbers_do_not_choose_a_channel():
    speech = sound(0.1)
    block = np.stack([speech, np.full_like(speech, np.nan)], axis=1)
    mixer = Mixer()
    mixer.push(block)
    assert np.array_equal(mixer.push(np.stack([speech, 0 * speech], axis=1)), speech)
