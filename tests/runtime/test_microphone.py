"""A microphone that is not there, does not fit, loses audio or is pulled out; by a double of sounddevice."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import soxr

from conftest import RATE
from kws.common.errors import UserError
from kws.runtime import microphone
from kws.runtime.listen import Warnings
from kws.runtime.microphone import Faults, Microphone, list_devices


class PortAudioError(Exception):
    pass


class Double:
    """sounddevice as its documentation has it, with one microphone whose audio a test provides."""

    PortAudioError = PortAudioError
    default = SimpleNamespace(device=[1, 0])

    def __init__(self, rates=(16000, 48000), channels=(1, 2)):
        self.rates, self.channels, self.blocks, self.fails = rates, channels, [], False

    def query_devices(self, device=None, kind=None):
        speaker = {"index": 0, "name": "Speaker", "max_input_channels": 0, "default_samplerate": 48000.0}
        mine = {"index": 1, "name": "USB Mic", "max_input_channels": 2, "default_samplerate": 48000.0}
        mine["hostapi"] = 0
        if kind is None:
            return [speaker, mine]
        if device in (None, 1, "USB"):
            return mine
        raise ValueError(f"No input device matching {device!r}")

    def query_hostapis(self, index):
        return [{"name": "ALSA"}][index]

    def check_input_settings(self, device, channels, dtype, samplerate):
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        if channels not in self.channels:
            raise PortAudioError("Invalid number of channels [PaErrorCode -9998]")

    def InputStream(self, **settings):  # noqa: N802
        self.settings = settings
        return self

    def start(self):
        if self.fails:
            raise PortAudioError("Device unavailable [PaErrorCode -9985]")
        self.thread = threading.Thread(target=self._play)
        self.thread.start()

    def _play(self):
        for block, overflow in self.blocks:
            self.settings["callback"](block, len(block), None, SimpleNamespace(input_overflow=overflow))
        self.settings["finished_callback"]()

    def close(self, ignore_errors):
        self.thread.join()


@pytest.fixture
def double(monkeypatch):
    double = Double()
    monkeypatch.setitem(sys.modules, "sounddevice", double)
    return double


def hear(double, device=None):
    """Play what the double has, until it stops; return the blocks and the faults."""
    blocks = []
    with Microphone(device, RATE, 0.1) as source, pytest.raises(UserError, match="still plugged in"):
        blocks.extend(source.blocks())
    return blocks, source.faults


def sound(n, rate=RATE, channels=1):
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (n, rate // 10, channels))
    return [(block.astype(np.float32), False) for block in audio]


def test_blocks_arrive_as_they_were_and_an_unplugged_device_is_an_error(double):
    double.channels, double.blocks = (1,), sound(5)
    blocks, faults = hear(double)
    assert np.array_equal(blocks, [block[:, 0] for block, _ in double.blocks])
    assert faults == Faults()
    assert double.settings["samplerate"] == RATE
    assert double.settings["channels"] == 1


def test_a_device_that_only_has_its_own_rate_and_stereo_is_converted(double):
    double.rates, double.channels = (48000,), (2,)
    double.blocks = sound(20, 48000, 2)
    blocks, _ = hear(double)
    mono = np.concatenate([block for block, _ in double.blocks]).mean(axis=1, dtype=np.float32)
    expected = soxr.resample(mono, 48000, RATE)
    found = np.concatenate(blocks)
    assert double.settings["blocksize"] == 4800
    assert len(found) > 0.9 * len(expected)
    assert np.array_equal(found, expected[: len(found)])


def test_without_a_rate_a_device_keeps_its_own(double):
    double.blocks = sound(3, 48000)
    with Microphone(None, None, 0.1) as source:
        found = [next(source.blocks()) for _ in range(3)]
    assert np.array_equal(found, [block[:, 0] for block, _ in double.blocks])
    assert (source.rate, double.settings["samplerate"], source.host) == (48000, 48000, "ALSA")


def test_what_was_recorded_meanwhile_can_be_passed_over_but_not_an_end(double):
    double.blocks = sound(3)
    with Microphone(None, RATE, 0.1) as source:
        double.thread.join()
        source.skip()
        source.skip()
        with pytest.raises(UserError, match="still plugged in"):
            next(source.blocks())


def test_a_device_with_no_usable_setting_is_an_error(double):
    double.rates = ()
    with pytest.raises(UserError, match=r"USB Mic: cannot record \(Invalid sample rate"):
        Microphone(None, RATE, 0.1)


def test_lost_audio_is_counted_whoever_lost_it_and_said(double, monkeypatch, capsys):
    monkeypatch.setattr(microphone, "QUEUE_S", 1.0)
    double.blocks = [(block, index == 2) for index, (block, _) in enumerate(sound(14))]
    faults = Faults()
    warnings = Warnings(faults)
    with Microphone(None, RATE, 0.1) as source:
        double.thread.join()
    assert source.faults.overruns == 1 + 4
    faults.overruns = 5
    warnings.push(None, None)
    warnings.push(None, None)
    assert capsys.readouterr().err == "warning: 5 overruns: audio was lost\n"


def test_samples_that_are_no_numbers_become_silence_and_are_counted(double):
    double.blocks = sound(2)
    double.blocks[0][0][10:13] = np.nan
    blocks, faults = hear(double)
    assert (blocks[0][10:13] == 0).all()
    assert np.isfinite(blocks).all()
    assert faults == Faults(invalid=3)


def test_a_device_that_falls_silent_is_an_error(double, monkeypatch):
    monkeypatch.setattr(microphone, "SILENT_S", 0.01)
    monkeypatch.setattr(Microphone, "_finished", lambda self: None)
    hear(double)


def test_a_device_in_use_or_unknown_is_one_line(double):
    double.fails = True
    with pytest.raises(UserError, match=r"USB Mic: Device unavailable .*; is another program using it\?"):
        Microphone(None, RATE, 0.1).__enter__()
    with pytest.raises(UserError, match=r"microphone Headset: No input device matching 'Headset'; see `kws"):
        Microphone("Headset", RATE, 0.1)


def test_devices_are_listed_and_chosen_by_number_or_name(double):
    assert list_devices() == ["*   1  USB Mic  (2 channels, 48000 Hz)"]
    assert [Microphone(device, RATE, 0.1).name for device in ("1", "USB")] == ["USB Mic"] * 2


def test_a_missing_library_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match="needs sounddevice; install it with"):
        list_devices()


def test_a_channel_is_taken_from_all_that_there_are(double):
    double.blocks = sound(3, channels=2)
    with Microphone(None, RATE, 0.1, 2) as source:
        found = [next(source.blocks()) for _ in range(3)]
    assert np.array_equal(found, [block[:, 1] for block, _ in double.blocks])
    with pytest.raises(UserError, match="--channel 3: USB Mic has 2, counted from 1"):
        Microphone(None, RATE, 0.1, 3)


def test_a_microphone_called_like_another_is_told_apart_by_what_it_is_reached_by(double, monkeypatch):
    (speaker, mine) = double.query_devices()
    other = mine | {"index": 2, "hostapi": 1}
    ask = double.query_devices
    monkeypatch.setattr(
        double, "query_devices", lambda *which: ask(*which) if which else [speaker, mine, other]
    )
    monkeypatch.setattr(double, "query_hostapis", lambda index: {"name": ["ALSA", "JACK"][index]})
    lines = list_devices()
    assert "USB Mic, ALSA  (2 channels" in lines[0]
    assert "USB Mic, JACK  (2 channels" in lines[1]
    assert Microphone(None, RATE, 0.1).name == "USB Mic, ALSA"
