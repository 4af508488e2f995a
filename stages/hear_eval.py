"""Hear the evaluation's clips and streams once, for all heads to come: data/heard_eval/."""

import warnings
from pathlib import Path

from kws.common.files import replacing
from kws.evaluation.heard import NEAR_MISSES, WORDS, hear_clips, hear_streams
from kws.evaluation.recordings import find_near_misses, find_words, read_features
from kws.evaluation.streams import read_both
from kws.params.whole import load_params
from kws.runtime.inference import open_encoder
from stages import paths, run


def main() -> None:
    """Let the encoder hear words, near misses and streams; an empty folder without an encoder."""
    params = load_params(paths.PARAMS)
    of, seed = (params.labels, params.background), params.stream.seed
    folder, own = Path(params.data.eval), Path(params.data.streams)
    with replacing(paths.HEARD_EVAL) as out:
        out.mkdir()
        if encoder := open_encoder(paths.EAR):
            with warnings.catch_warnings(action="ignore"):  # `evaluate` says what is missing
                sets = {WORDS: find_words(folder, *of), NEAR_MISSES: find_near_misses(folder, *of)}
            for name, clips in sets.items():
                hear_clips(out / name, encoder, read_features(folder, clips, params.features), seed)
            streams = read_both(paths.STREAMS, own, *of)
            hear_streams(out, encoder, streams, params.features, params.detector.hop_ms, seed)


if __name__ == "__main__":
    run(main)
