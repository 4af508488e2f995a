"""Lay the evaluation voices into streams: data/streams/<voice>/<condition>.flac and labels.csv."""

from functools import cache
from itertools import islice
from pathlib import Path

from kws.augment.rooms import simulate
from kws.common.files import replacing
from kws.common.types import Audio
from kws.evaluation.build import build_background, build_stream, place_name, read_backgrounds, read_voices
from kws.evaluation.streams import LABELS, Spoken, write_labels
from kws.params.whole import load_params
from kws.recordings.audio import write_sound
from stages import paths, run


def main() -> None:
    """Write a stream for each voice and condition, and one for each background."""
    params = load_params(paths.PARAMS)
    config, folder, rate = params.stream, Path(params.data.eval), params.features.sample_rate
    voices = read_voices(folder, params.keywords, rate, params.features.clip_s)
    backgrounds = read_backgrounds(folder, rate)

    @cache
    def rir(index: int) -> Audio:
        return simulate(config.rooms, index, config.seed, rate, "stream")

    with replacing(paths.STREAMS) as out:
        out.mkdir()
        labels: dict[str, list[Spoken]] = {}

        def write(name: str, audio: Audio, spoken: list[Spoken]) -> None:
            (out / name).parent.mkdir(exist_ok=True)
            write_sound(out / name, audio, rate)
            labels[name] = spoken

        for name, voice in islice(voices.items(), config.voices):
            for condition, snr in enumerate(config.snr_db):
                made = build_stream(name, voice, condition, backgrounds, rir, config, rate, params.background)
                write(f"{name}/{place_name(snr)}.flac", *made)
        for name, audio in backgrounds.items():
            write(f"{name}/background.flac", build_background(name, audio, config), [])
        write_labels(out / LABELS, labels)


if __name__ == "__main__":
    run(main)
