"""From a drawn row to the audio of a clip: no random state, so a row can be rendered again."""

import numpy as np

from kws.augment.channel import add_floor, colour, set_level, soft_clip
from kws.augment.fragments import fragment
from kws.augment.noise import add_noise, blend, coloured
from kws.augment.placement import fade_edges, place
from kws.augment.recipe import COLOURED, GAUSSIAN, Clip, Recipe
from kws.augment.room import reverberate
from kws.augment.sources import Sources
from kws.augment.voice import change_voice
from kws.common.types import Audio, Pcm
from kws.recordings.audio import to_int16

PEAK = 0.99


def render(clip: Clip, sources: Sources, rate: int, n: int) -> Pcm:
    """Return the audio of a row, int16 [n]: voice, room, place, noise, microphone, in that order."""
    sound = change_voice(_sound(clip, sources), rate, clip.formant, clip.semitones, clip.duration)
    if len(sound) < n:
        sound = fade_edges(sound)
    if clip.rir >= 0:
        sound = reverberate(sound, sources.rirs[clip.rir])
    audio = place(sound, clip.start, n)
    if clip.noise:
        active = slice(clip.start, clip.start + clip.length)
        noises = _noises(clip, sources, rate, n)
        noise = blend(noises, active) if len(noises) > 1 else noises[0]
        audio = add_noise(audio, noise, clip.snr_db, active)
    if clip.eq_db:
        audio = colour(audio, rate, clip.eq_db, clip.low_hz, clip.high_hz)
    if clip.level_dbfs is not None:
        audio = set_level(audio, clip.level_dbfs)
    audio = soft_clip(audio, clip.drive_db)
    if clip.floor_dbfs is not None:
        audio = add_floor(audio, clip.offset, clip.floor_dbfs, clip.noise_seed + 1)
    peak = float(np.abs(audio).max())
    return to_int16(audio * np.float32(PEAK / peak) if peak > PEAK else audio)


def render_block(recipe: Recipe, indices: range) -> tuple[list[Clip], Pcm]:
    """Draw and render consecutive clips: rows and int16 [len(indices), clip_samples]."""
    rows = [recipe.draw(index) for index in indices]
    return rows, np.stack([render(row, recipe.sources, recipe.rate, recipe.clip_samples) for row in rows])


def _sound(clip: Clip, sources: Sources) -> Audio:
    if clip.kind == "speech":
        return sources.speech.segment(clip.source, clip.source_start, clip.source_length)
    if clip.kind == "background":
        return sources.background.segment(clip.source, clip.source_start, clip.source_length)
    word = sources.word(clip.source)
    if clip.kind == "keyword":
        return word
    return fragment(clip.kind, word, sources.word(clip.other) if clip.other else word, clip.cut)


def _noises(clip: Clip, sources: Sources, rate: int, n: int) -> list[Audio]:
    slopes = {GAUSSIAN: 0.0, COLOURED: clip.noise_slope}
    return [
        coloured(n, slopes[name], rate, clip.noise_seed + layer)
        if name in slopes
        else sources.background.segment(name, start, n)
        for layer, (name, start) in enumerate(zip(clip.noise, clip.noise_start, strict=True))
    ]
