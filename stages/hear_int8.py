"""Hear the reported streams with an encoder in 8 bits once, for all heads to come: data/heard_int8/."""

from pathlib import Path

import numpy as np

from kws.board.inputs import read_inputs
from kws.common.files import replacing
from kws.evaluation.heard import hear_clips, hear_streams
from kws.evaluation.streams import read_both
from kws.params.whole import load_params
from kws.runtime.inference import Classifier, open_encoder
from kws.targets.calibration import read_tar
from kws.targets.host import quantise
from stages import paths, run


def main() -> None:
    """Quantise what hears, and let it hear; an empty folder without an encoder."""
    params = load_params(paths.PARAMS)
    front_end, of, seed = params.features, (params.labels, params.background), params.stream.seed
    shape, tar = (front_end.n_frames, front_end.n_mels), paths.CALIB / "calib_kws.tar"
    with replacing(paths.HEARD_INT8) as out:
        out.mkdir()
        if open_encoder(paths.EAR):
            encoder = Classifier(quantise(paths.EAR, tar).SerializeToString())
            calibration = np.concatenate(list(read_tar(tar, (1, 1, *shape))))
            hear_clips(out / paths.CALIBRATED, encoder, calibration, seed)
            hear_clips(out / paths.INPUTS, encoder, read_inputs(paths.CALIB, shape, params.labels)[0], seed)
            streams = [s for s in read_both(paths.STREAMS, Path(params.data.streams), *of) if not s.tuning]
            hear_streams(out, encoder, streams, front_end, params.detector.hop_ms, seed)


if __name__ == "__main__":
    run(main)
