"""From a drawn row to the audio of a clip: no random state, so a row can be rendered again."""

import numpy as np

from kws.audio import to_int16
from kws.augment.noise import add_noise, gaussian
from kws.augment.placement import fade_edges, place
from kws.augment.recipe import GAUSSIAN, Clip, Recipe
from kws.augment.room import reverberate
from kws.augment.sources import Sources
from kws.augment.voice import change_voice
from kws.types import Audio, Pcm

PEAK = 0.99


def render(clip: Clip, sources: Sources, rate: int, n: int) -> Pcm:
    """Return the audio of a row, int16 [n]."""
    sound = sources.bank(clip.kind).segment(clip.source, clip.source_start, clip.source_length)
    sound = change_voice(sound, rate, clip.semitones, clip.duration)
    if len(sound) < n:
        sound = fade_edges(sound)
    if clip.rir >= 0:
        sound = reverberate(sound, sources.rirs[clip.rir])
    audio = place(sound, clip.start, n)
    if clip.noise:
        active = slice(clip.start, clip.start + clip.length)
        audio = add_noise(audio, _noise(clip, sources, n), clip.snr_db, active)
    peak = float(np.abs(audio).max())
    return to_int16(audio * np.float32(PEAK / peak) if peak > PEAK else audio)


def render_block(recipe: Recipe, indices: range) -> tuple[list[Clip], Pcm]:
    """Draw and render consecutive clips: rows and int16 [len(indices), clip_samples]."""
    rows = [recipe.draw(index) for index in indices]
    return rows, np.stack([render(row, recipe.sources, recipe.rate, recipe.clip_samples) for row in rows])


def _noise(clip: Clip, sources: Sources, n: int) -> Audio:
    if clip.noise == GAUSSIAN:
        return gaussian(n, clip.noise_seed)
    return sources.background.segment(clip.noise, clip.noise_start, n)
