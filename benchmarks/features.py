"""Feature cache: clips per second from clips.npy to features, against one file a clip.

The baseline is the usual loop: one WAV a clip is read, torchaudio makes its log-mel, torch saves it as .pt.
"""

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch
import torchaudio

from kws.params.compose import compose
from kws.recordings.audio import to_int16
from stages import logmel

ROOT = Path(__file__).parent.parent
CLIPS, BASELINE_CLIPS, RATE = 6000, 1000, 16000


def stage(folder: Path) -> float:
    """Return the seconds that the `logmel` stage takes for all clips."""
    os.chdir(folder)
    compose(ROOT / "conf", Path("params.yaml"), [])
    start = time.perf_counter()
    logmel.main("WORD")
    return time.perf_counter() - start


def one_file_a_clip(wavs: list[Path], folder: Path) -> float:
    """Return the seconds that the plain loop takes to write a .pt file of each clip into a folder."""
    mel = torchaudio.transforms.MelSpectrogram(RATE, 512, 400, 160, 20, 8000, n_mels=64, norm="slaney")
    start = time.perf_counter()
    for path in wavs:
        samples, _ = soundfile.read(path, dtype="float32")
        wave = torch.from_numpy(samples)
        wave = torchaudio.functional.preemphasis(wave - wave.mean())
        features = 10 * torch.log10(mel(wave) + 1e-10).T
        features = (features - features.mean(0)) / (features.std(0) + 1e-5)
        torch.save(features[None, None], folder / f"{path.stem}.pt")
    return time.perf_counter() - start


def main() -> None:
    """Print one JSON object."""
    random = np.random.default_rng(0)
    clips = to_int16(random.standard_normal((CLIPS, RATE), np.float32) / 10)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("wavs", "pt", "data/clips/WORD"):
            (folder / part).mkdir(parents=True)
        np.save(folder / "data/clips/WORD/clips.npy", clips)
        for index, clip in enumerate(clips[:BASELINE_CLIPS]):
            soundfile.write(folder / "wavs" / f"{index:05d}.wav", clip, RATE)
        wavs = sorted((folder / "wavs").iterdir())
        ours, baseline = CLIPS / stage(folder), BASELINE_CLIPS / one_file_a_clip(wavs, folder / "pt")
        os.chdir(ROOT)
    result = {"name": "features", "value": round(ours), "unit": "clips/s", "baseline": round(baseline)}
    print(json.dumps(result | {"ratio": round(ours / baseline, 2)}))


if __name__ == "__main__":
    main()
