"""The pictures of docs/augmentation.md: `python -m docs.figures`, with matplotlib."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from kws.augment.channel import add_floor, colour, set_level, soft_clip
from kws.augment.fragments import fragment
from kws.augment.noise import add_noise, blend, coloured
from kws.augment.placement import fade_edges, place, start_position
from kws.augment.room import reverberate
from kws.augment.rooms import simulate
from kws.augment.voice import change_voice
from kws.common.types import Audio
from kws.features.logmel import log_mel
from kws.params.whole import load_params
from kws.recordings.audio import read_audio
from kws.recordings.word import find_word

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs/images"
RATE = 16000


def main() -> None:
    """Write one picture a transform: the log-mel of a clip before and after it."""
    params = load_params(ROOT / "params.yaml")
    recording = read_audio(ROOT / "data/seeds/REPETIR/000_repetir.wav", RATE)
    other = read_audio(ROOT / "data/seeds/ACOPLAR/000_acoplar.wav", RATE)
    rain = read_audio(ROOT / "data/seeds/FONDO/003_lluvia.ogg", RATE)[:RATE]
    word = recording[find_word(recording, RATE, 1.0)]
    active = slice((RATE - len(word)) // 2, (RATE + len(word)) // 2)

    def clip(sound: Audio, shift: float = 0) -> Audio:
        return place(fade_edges(sound), start_position(len(sound), RATE, shift), RATE)

    quiet = add_floor(clip(word), 0, -75, 0)
    noises = blend([rain, coloured(RATE, 6, RATE, 1)], active)
    pictures: dict[str, Callable[[], Audio]] = {
        "formants": lambda: clip(change_voice(word, RATE, 2**0.3, 0, 1)),
        "pitch": lambda: clip(change_voice(word, RATE, 1, 6, 1)),
        "duration": lambda: clip(change_voice(word, RATE, 1, 0, 0.75)),
        "room": lambda: place(reverberate(clip(word), simulate(params.augment.rooms, 5, 1, RATE)), 0, RATE),
        "noise": lambda: add_noise(clip(word), noises, 5, active),
        "microphone": lambda: colour(quiet, RATE, [8, -6, 5, -8, 4, -4], 250, 3600),
        "clipping": lambda: soft_clip(clip(word), 18),
        "level": lambda: add_floor(set_level(clip(word), -35), 0, -60, 1),
        "placement": lambda: clip(change_voice(word, RATE, 1, 0, 0.75), 4000),
        "entering": lambda: place(fragment("entering", word, word, 0.5), RATE - len(word) // 2, RATE),
        "swapped": lambda: clip(fragment("swapped", word, word, 0.45)),
        "reversed": lambda: clip(fragment("reversed", word, word, 0.5)),
        "joined": lambda: clip(fragment("joined", word, other, 0.5)),
    }
    IMAGES.mkdir(exist_ok=True)
    for name, transformed in pictures.items():
        figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.1), sharey=True, layout="constrained")
        for axis, audio, title in ((axes[0], quiet, "before"), (axes[1], transformed(), name)):
            heard = add_floor(audio, 0, -75, 0)
            axis.imshow(log_mel(heard, params.features).T, origin="lower", aspect="auto", vmin=-70, vmax=20)
            axis.set_title(title, fontsize=9)
            axis.set_xticks(np.arange(0, 98, 20), [f"{t:.1f} s" for t in np.arange(0, 0.98, 0.2)], fontsize=7)
            axis.set_yticks([])
        axes[0].set_ylabel("64 mel bands", fontsize=8)
        figure.savefig(IMAGES / f"augment_{name}.png", dpi=80)
        plt.close(figure)


if __name__ == "__main__":
    main()
