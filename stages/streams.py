"""Lay the evaluation voices into streams: data/streams/<voice>/<condition>.flac and labels.csv."""

from pathlib import Path

from kws.common.files import replacing
from kws.common.parallel import map_blocks
from kws.evaluation.build import Studio, read_backgrounds, read_voices
from kws.evaluation.streams import LABELS, Spoken, write_labels
from kws.params.whole import load_params
from kws.recordings.audio import write_sound
from stages import paths, run


def main() -> None:
    """Write a stream for each voice and condition, and one for each background."""
    params = load_params(paths.PARAMS)
    config, folder, rate = params.stream, Path(params.data.eval), params.features.sample_rate
    studio = Studio(
        read_voices(folder, params.keywords, rate, params.features.clip_s),
        read_backgrounds(folder, rate),
        config,
        rate,
        params.background,
    )
    with replacing(paths.STREAMS) as out:
        out.mkdir()
        labels: dict[str, list[Spoken]] = {}
        for block in map_blocks(studio.build, len(studio.streams), block=1):
            for name, audio, spoken in block:
                (out / name).parent.mkdir(exist_ok=True)
                write_sound(out / name, audio, rate)
                labels[name] = spoken
        write_labels(out / LABELS, labels)


if __name__ == "__main__":
    run(main)
