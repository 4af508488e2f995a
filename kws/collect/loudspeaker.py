"""A recording, played."""

import numpy as np

from kws.common.errors import UserError
from kws.common.types import Audio
from kws.runtime.microphone import sounddevice

LATENCY_S = 0.2
"""Long, because it does not matter here, and shorter ones run dry on a busy computer."""


def play(audio: Audio, rate: int) -> None:
    """Start to play float32 [samples] at `rate` Hz and return; UserError where nothing plays them."""
    library = sounddevice()
    try:
        info = library.query_devices(kind="output")
        channels, own = min(2, info["max_output_channels"]), round(info["default_samplerate"])
        try:
            library.check_output_settings(channels=channels, dtype="float32", samplerate=rate)
        except library.PortAudioError:
            import soxr

            audio, rate = soxr.resample(audio, rate, own), own
        library.play(np.repeat(audio[:, None], channels, axis=1), rate, latency=LATENCY_S)
    except (ValueError, library.PortAudioError) as error:
        raise UserError(f"not played; is there a loudspeaker? ({' '.join(str(error).split())})") from error


def silence() -> None:
    """Stop what still plays."""
    sounddevice().stop()
