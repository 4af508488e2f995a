"""Finding the word in a recording: which sound it is by its likeness to speech, its edges by energy.

The edges are those of Rabiner and Sambur, "An Algorithm for Determining the Endpoints of Isolated
Utterances", Bell System Technical Journal 54 (1975): a high threshold finds speech, a low one its edges.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.common.types import Audio
from kws.recordings.cleaning import without_noise, without_rumble
from kws.recordings.speech import CHUNK_S, as_loud_as_words, likeness
from kws.recordings.takes import alike

Run = tuple[int, int]
"""The first hop and the one after the last"""

HOP_S = 0.01
MARGIN_S = 0.03
"""Kept on both sides, for onsets and decays below the threshold."""
GAP_S, PAUSE_S = 0.25, 0.4
"""Longest pause inside a word, the closure of a stop consonant and its surroundings; and inside a phrase."""
SPEECH, SURE = 0.7, 0.85
"""Likeness from which on a moment belongs to speech, and that a sound reaches somewhere if it is speech."""
FAINT_DB = 25
"""So far below the loudest speech there is none."""
LITTLE, DOUBTFUL = 0.5, 0.75
"""Where the likeliest sound, heard with its noise, is less like speech, there is none, or none for sure."""
EARLY_S, LATE_S = 0.1, 0.02
"""How much sooner a word may begin, and later end, than its likeness to speech rises and falls."""
LAG_S = 0.1
"""Likeness falls by so much later than the word ends, at most."""
NOISE, BESIDE_S = 0.9, 0.6
"""Share of the hops without speech, so near to a sound, that are no louder than the noise."""
HIGH_DB, LOW_DB, HIDDEN_DB = 25, 35, 31
"""Under the loudest moment of a word: what lies less far below is speech; where its onsets and decays end;
and where they do in a recording in which something else is to be heard."""
NEXT_S, CLICK_S = 0.12, 0.05
"""So near to speech lies what belongs to its word, a vowel before a stop or the release after it, if it is
longer than a click."""
FADE_S = 0.25
"""Longest onset or decay between the thresholds where there is no noise."""
SHORT_S = 0.25
"""Few words take less."""
PART = 0.15
"""A sound with a smaller share of all that is like speech is a scrap of it."""
NEAR_DB = 12
"""What is like speech and no more than this quieter than the word could be meant as well."""
CLEAR_DB, HIDDEN_BY_DB = 8, 2
"""Noise nearer to the word than this makes it doubtful, and a sound that stands out less is none."""
TOO_NEAR_DB = 12
"""Noise nearer to the loudest sound than this hides that it is speech."""


@dataclass(frozen=True)
class Finding:
    """The words of a recording, and what is doubtful about them."""

    takes: tuple[slice, ...]
    """samples of each word, in order: several where it was said several times, none where none was found"""
    doubts: tuple[str, ...]
    """what to look at, a line each, with times; or why nothing was found"""
    word_dbfs: float
    """RMS of the loudest take, dB below full scale, without what lies below a voice"""
    noise_dbfs: float
    """RMS of what lies beneath"""


@dataclass(frozen=True)
class _Heard:
    """A recording as it is listened to."""

    plain: Audio
    """without what lies below a voice"""
    clean: Audio
    """and without noise"""
    rate: int
    raw_db: NDArray[np.float64]
    """level of each hop"""
    plain_db: NDArray[np.float64]
    """of `plain`"""
    level_db: NDArray[np.float64]
    """of `clean`"""
    speech: NDArray[np.float32]
    """likeness to speech of each hop, 0..1"""

    @property
    def threshold(self) -> float:
        """Likeness from which on a hop belongs to speech: lower where all of it is little like speech."""
        return SPEECH * float(self.speech.max()) ** 2

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Hops away from all speech, or the quietest twentieth where it leaves no silence."""
        silent = np.ones(len(self.speech), bool)
        for start, stop in _runs(self.speech >= self.threshold):
            silent[max(0, start - 20) : stop + 20] = False
        return silent if silent.sum() >= 20 else self.level_db <= np.quantile(self.level_db, 0.05)


@dataclass(frozen=True)
class _Sound:
    """What is like speech, and may be the word."""

    span: slice
    """samples"""
    amount: float
    """of likeness to speech, summed over its hops"""
    level_db: float
    """of its loudest 50 ms"""
    weight: float
    """its power, less for what is shorter than a word"""
    pause_s: float = 0.0
    """inside, where it is longer than those of a word"""


def search(audio: Audio, rate: int, longest_s: float) -> Finding:
    """Return what float32 [samples] hold: words of at most about `longest_s`, said once or several times.

    Sounds with a pause of up to 0.4 s between them that take no longer together are one phrase.
    """
    return _search(audio, rate, longest_s)[0]


def find_word(audio: Audio, rate: int, longest_s: float) -> slice:
    """Return the samples of float32 [samples] that are likeliest the word, however doubtful that is."""
    return _search(audio, rate, longest_s)[1]


def word_of(path: Path, audio: Audio, rate: int, longest_s: float) -> slice:
    """Return what `find_word` does of a recording that is used in any case; what is doubtful is warned of."""
    finding, word = _search(audio, rate, longest_s)
    for doubt in finding.doubts:
        warnings.warn(f"{path}: {doubt}", stacklevel=2)
    return word


def _search(audio: Audio, rate: int, longest_s: float) -> tuple[Finding, slice]:
    """Return what was found, and what is likeliest the word even where nothing was."""
    heard = _listen(audio, rate)
    sounds = _phrases(_sounds(heard, longest_s), heard, longest_s)
    word = max(sounds, key=lambda sound: sound.weight)
    noise_dbfs, word_dbfs = float(np.median(heard.plain_db[heard.silent])), _rms_db(heard, word.span)
    sureness = _sureness(heard, word.span)
    if sureness < LITTLE or word_dbfs < noise_dbfs + HIDDEN_BY_DB:
        return Finding((), (_cause(heard, noise_dbfs),), word_dbfs, noise_dbfs), word.span
    rivals = [s for s in sounds if s is not word and s.level_db >= word.level_db - NEAR_DB]
    again = [s for s in rivals if alike(heard.clean[word.span], heard.clean[s.span], rate)]
    takes = sorted([word, *again], key=lambda sound: sound.span.start)
    doubts = [
        f"something else sounds like speech at {_at(rival, rate)}, {_than(rival, word)} the word at "
        f"{_at(word, rate)}; cut out what is not the word"
        for rival in rivals
        if rival not in again
    ]
    doubts += [
        f"the word at {_at(take, rate)} has a pause of {take.pause_s:.2f} s; if it is two sounds, cut one out"
        for take in takes
        if take.pause_s
    ]
    if len(takes) > 1:
        times = ", ".join(_at(take, rate) for take in takes)
        doubts.append(
            f"said {len(takes)} times, at {times}; each is a word of its own, so cut out what is not"
        )
    if sureness < DOUBTFUL:
        doubts.append(f"the word at {_at(word, rate)} sounds little like speech; listen to it")
    if word_dbfs - noise_dbfs < CLEAR_DB:
        doubts.append(
            f"the noise is only {max(0, word_dbfs - noise_dbfs):.0f} dB below the word at {_at(word, rate)}; "
            "record it where it is quieter, or nearer to the microphone"
        )
    return Finding(tuple(take.span for take in takes), tuple(doubts), word_dbfs, noise_dbfs), word.span


def _listen(audio: Audio, rate: int) -> _Heard:
    plain = without_rumble(audio, rate)
    clean = without_noise(plain, rate)
    level = _level_db(clean, rate)
    chunks = likeness(as_loud_as_words(clean, rate), rate)
    chunk = ((np.arange(len(level)) + 0.5) * HOP_S / CHUNK_S).astype(int)
    per_hop = chunks[np.minimum(chunk, len(chunks) - 1)]
    # what is left of noise may be like speech, however faint it is
    loudest = np.median(_around(level, 2), axis=1)[per_hop >= SPEECH * per_hop.max() ** 2].max()
    per_hop = np.where(_around(level, round(LAG_S / HOP_S)).max(axis=1) > loudest - FAINT_DB, per_hop, 0)
    return _Heard(plain, clean, rate, _level_db(audio, rate), _level_db(plain, rate), level, per_hop)


def _sureness(heard: _Heard, span: slice) -> float:
    """Say how much like speech a sound is with its noise: what is left of noise may be like it alone."""
    sound = heard.plain * np.float32(0.3 / max(1e-6, float(np.abs(heard.plain[span]).max())))
    first, last = (int(at / heard.rate / CHUNK_S) for at in (span.start, span.stop + LAG_S * heard.rate))
    return float(likeness(sound, heard.rate)[first : last + 1].max())


def _sounds(heard: _Heard, longest_s: float) -> list[_Sound]:
    """Return what is like speech, in order, or what is most like it."""
    runs = [
        (start, stop)
        for start, stop in _runs(heard.speech >= heard.threshold)
        if heard.speech[start:stop].max() >= SURE * heard.speech.max()
    ]
    groups = _split(runs, round(GAP_S / HOP_S))
    sounds = [_sound(heard, group[0][0], group[-1][1], longest_s) for group in groups]
    most = max(sound.amount for sound in sounds)
    return [sound for sound in sounds if sound.amount >= PART * most]


def _sound(heard: _Heard, start: int, stop: int, longest_s: float) -> _Sound:
    """Return the sound whose likeness to speech rises at one hop and falls at another, with its own edges.

    The high threshold lies 25 dB under its loudest moment, or 3 dB over the noise where that is higher; the
    low one 10 dB under it, or at the noise. What stands out clearly belongs to it however little it is like
    speech, if it is near, no click, and they fit into a clip together.
    """
    first = max(0, start - round(EARLY_S / HOP_S))
    last = min(len(heard.speech), stop + round(LATE_S / HOP_S))
    undisturbed = heard.raw_db[heard.silent].max() < heard.raw_db[first:last].max() - LOW_DB
    level = heard.raw_db if undisturbed else heard.level_db
    top = float(level[first:last].max())
    beside = slice(max(0, start - round(BESIDE_S / HOP_S)), stop + round(BESIDE_S / HOP_S))
    noise = heard.level_db[beside][heard.silent[beside]]
    noise_db = float(np.quantile(noise if len(noise) >= 20 else heard.level_db[heard.silent], NOISE))
    high = min(max(top - HIGH_DB, noise_db + 3), top - 8)
    low = min(max(top - (LOW_DB if undisturbed else HIDDEN_DB), noise_db), high)
    loud = first + np.flatnonzero(level[first:last] > high)
    sure = start + np.flatnonzero(heard.speech[start:stop] >= SURE * heard.speech.max())
    begin = min(int(loud[0]), int(sure[0]))
    end = max(int(loud[-1]) + 1, int(sure[-1]) + 1 - round(LAG_S / HOP_S), begin + 1)
    runs = _runs(level > max(top - HIGH_DB, noise_db + CLEAR_DB))
    for a, b in [*reversed(runs), *runs]:
        near = max(a - end, begin - b) <= NEXT_S / HOP_S
        no_click = b - a > CLICK_S / HOP_S or max(a - end, begin - b) <= 0
        if near and no_click and max(b, end) - min(a, begin) <= longest_s / HOP_S:
            begin, end = min(a, begin), max(b, end)
    reach = round(FADE_S / HOP_S) if noise_db < top - HIDDEN_DB else 0
    first, last = min(first, begin - reach), max(last, end + reach)
    while begin > max(0, first) and level[begin - 1] > low:
        begin -= 1
    while end < min(len(level), last) and level[end] > low:
        end += 1
    hop, margin = round(HOP_S * heard.rate), round(MARGIN_S * heard.rate)
    span = slice(max(0, begin * hop - margin), min(len(heard.clean), end * hop + margin))
    amount = float(heard.speech[start:stop].sum())
    weight = min(1.0, amount * HOP_S / SHORT_S) * float(np.mean(10 ** (level[begin:end] / 10)))
    return _Sound(span, amount, top, weight)


def _phrases(sounds: list[_Sound], heard: _Heard, longest_s: float) -> list[_Sound]:
    """Return the sounds, those joined that are said with a pause and are not the same word twice.

    What has no pause between its edges is one sound, whatever fell silent in it.
    """
    joined = sounds[:1]
    for sound in sounds[1:]:
        before = joined[-1]
        both = slice(min(before.span.start, sound.span.start), max(before.span.stop, sound.span.stop))
        pause_s = (sound.span.start - before.span.stop) / heard.rate + 2 * MARGIN_S
        longest = max(longest_s * heard.rate, _length(before.span), _length(sound.span))
        if _length(both) <= longest and (
            pause_s <= 0
            or (
                pause_s <= PAUSE_S
                and abs(before.level_db - sound.level_db) <= NEAR_DB
                and not alike(heard.clean[before.span], heard.clean[sound.span], heard.rate)
            )
        ):
            joined[-1] = _Sound(
                both,
                before.amount + sound.amount,
                max(before.level_db, sound.level_db),
                max(before.weight, sound.weight),
                max(before.pause_s, pause_s, 0.0),
            )
        else:
            joined.append(sound)
    return joined


def _length(span: slice) -> int:
    return int(span.stop - span.start)


def _cause(heard: _Heard, noise_dbfs: float) -> str:
    """Say why nothing was found: what is loudest cannot be told from noise, or is no speech."""
    level = heard.plain_db
    loudest = int(level.argmax())
    start, stop = max(0, loudest - 5) * HOP_S, min(len(level), loudest + 6) * HOP_S
    over = float(level.max()) - noise_dbfs
    if over < TOO_NEAR_DB:
        return (
            f"the noise is only {over:.0f} dB below the loudest sound, at {start:.2f} to {stop:.2f} s; "
            "record it where it is quieter, or nearer to the microphone"
        )
    return f"nothing in it sounds like speech; the loudest sound is at {start:.2f} to {stop:.2f} s"


def _at(sound: _Sound, rate: int) -> str:
    return f"{sound.span.start / rate:.2f} to {sound.span.stop / rate:.2f} s"


def _than(sound: _Sound, word: _Sound) -> str:
    difference = sound.level_db - word.level_db
    return f"{abs(difference):.0f} dB {'louder' if difference > 0 else 'quieter'} than"


def _rms_db(heard: _Heard, span: slice) -> float:
    hop = round(HOP_S * heard.rate)
    level = heard.plain_db[span.start // hop : max(span.start // hop + 1, span.stop // hop)]
    return 10 * float(np.log10(np.mean(10 ** (level / 10))))


def _level_db(audio: Audio, rate: int) -> NDArray[np.float64]:
    """Level of each hop in dB, over windows of 20 ms."""
    hop = round(HOP_S * rate)
    n = max(1, len(audio) // hop)
    hops = np.resize(audio, n * hop) if len(audio) < hop else audio[: n * hop]
    power = np.mean(np.square(hops.reshape(n, -1), dtype=np.float64), axis=1)
    smooth = np.convolve(power, [0.25, 0.5, 0.25], mode="same") if n >= 3 else power
    level: NDArray[np.float64] = 10 * np.log10(smooth + 1e-10)
    return level


def _around(level: NDArray[np.float64], hops: int) -> NDArray[np.float64]:
    """Return each hop with so many before and behind it: [hops, 2 * hops + 1]."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(level, hops, mode="edge"), 2 * hops + 1)


def _runs(flags: NDArray[np.bool_]) -> list[Run]:
    """Return (start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _split(runs: list[Run], gap: int) -> list[list[Run]]:
    """Group runs into utterances: those no more than `gap` apart belong together."""
    groups = [runs[:1]]
    for run in runs[1:]:
        if run[0] - groups[-1][-1][1] <= gap:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups
