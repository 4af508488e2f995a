"""What may stand before the front end: a voice-activity gate and automatic gain. Both are off by default."""

import numpy as np
from numpy.typing import NDArray

from kws.common.errors import UserError
from kws.common.types import Audio
from kws.features.logmel import FrontEnd

FRAME_MS = 10
RATES = (8000, 16000, 32000, 48000)
"""Frames and rates that WebRTC's detector takes."""


class SpeechGate:
    """Keeps out windows without speech, by WebRTC's detector: 10 ms frames, a Gaussian model, no network.

    It costs far less than the model that it spares, which a network could not (docs/runtime.md).
    """

    def __init__(self, front_end: FrontEnd, hop_ms: float, mode: int = 2) -> None:
        """Start a stream; `mode` is 0, which lets most through, to 3. Raises UserError without webrtcvad."""
        try:
            import webrtcvad
        except ImportError as error:
            raise UserError("--gate: needs webrtcvad; `pip install webrtcvad-wheels`") from error
        if front_end.sample_rate not in RATES or hop_ms % FRAME_MS:
            raise UserError(f"--gate: needs {', '.join(map(str, RATES))} Hz and hops of whole {FRAME_MS} ms")
        self._vad, self._rate, self._clip = webrtcvad.Vad(mode), front_end.sample_rate, front_end.clip_samples
        self._frame = self._rate * FRAME_MS // 1000
        self._hop, self._window = round(hop_ms / FRAME_MS), -(-self._clip // self._frame)  # in frames
        self._audio, self._voiced = np.zeros(0, np.int16), np.zeros(0, bool)
        self._start = 0  # of the next window, in frames from the first that is kept
        self._samples = 0  # from there to the end of the stream

    def push(self, audio: Audio) -> NDArray[np.bool_]:
        """Return bool [windows] of the windows that float32 [samples] completes: is there speech in them?"""
        self._samples += len(audio)
        pcm = np.clip(np.rint(audio * 32767), -32768, 32767).astype(np.int16)
        self._audio = np.concatenate([self._audio, pcm])
        frames, rest = np.split(self._audio, [len(self._audio) // self._frame * self._frame])
        voiced = [
            self._vad.is_speech(frame.tobytes(), self._rate) for frame in frames.reshape(-1, self._frame)
        ]
        self._audio, self._voiced = rest, np.concatenate([self._voiced, np.array(voiced, bool)])
        worth = []
        while self._samples >= self._start * self._frame + self._clip:
            worth.append(bool(self._voiced[self._start : self._start + self._window].any()))
            self._start += self._hop
        past = min(self._start, len(self._voiced))
        self._voiced, self._start = self._voiced[past:], self._start - past
        self._samples -= past * self._frame
        return np.array(worth, bool)


class AutomaticGain:
    """Brings speech to one level: 10 ms frames, quick to turn down, slow to turn up, never in silence."""

    TARGET_DBFS, FLOOR_DBFS = -23.0, -60.0
    HIGHEST_DB = 30.0
    DOWN_DB, UP_DB = 0.5, 0.05
    """change of gain a frame, at most: 50 dB/s down, 5 dB/s up"""

    def __init__(self, rate: int) -> None:
        """Start a stream with no gain."""
        self._frame, self._gain_db = rate * FRAME_MS // 1000, 0.0
        self._audio = np.zeros(0, np.float32)

    def push(self, audio: Audio) -> Audio:
        """Return float32 of the whole frames that float32 [samples] completes; the gain glides over each."""
        audio = np.concatenate([self._audio, audio])
        whole, self._audio = np.split(audio, [len(audio) // self._frame * self._frame])
        frames = whole.reshape(-1, self._frame)
        gains = np.array([self._next(float(np.mean(np.square(frame)))) for frame in frames])
        gains = gains.reshape(-1, 2)
        glide = gains[:, :1] + (gains[:, 1:] - gains[:, :1]) * (np.arange(1, self._frame + 1) / self._frame)
        louder: Audio = np.clip(frames * 10 ** (glide / 20), -1, 1).astype(np.float32).ravel()
        return louder

    def _next(self, power: float) -> tuple[float, float]:
        """Return the gain in dB at the start and at the end of a frame."""
        before, level = self._gain_db, 10 * np.log10(power + 1e-12)
        if level > self.FLOOR_DBFS:
            wanted = min(self.TARGET_DBFS - level, self.HIGHEST_DB)
            self._gain_db += float(np.clip(wanted - before, -self.DOWN_DB, self.UP_DB))
        return before, self._gain_db
