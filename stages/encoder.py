"""Export what hears: models/encoder.onnx, for all clips that are heard without the network's head."""

import onnx

from kws.common.files import replacing
from kws.evaluation.halves import encoder_of
from kws.params.sections import EncoderModel
from kws.params.whole import load_params
from kws.targets.export import to_onnx
from kws.training.transfer import for_features, load_encoder
from stages import paths, run


def main() -> None:
    """Write the encoder's half of the graph; an empty file for a network that starts from nothing."""
    params = load_params(paths.PARAMS)
    with replacing(paths.EAR) as partial:
        partial.touch()
        if isinstance(params.model, EncoderModel):
            encoder = for_features(load_encoder(paths.ENCODER), params.features)
            onnx.save(encoder_of(to_onnx(encoder)), partial)


if __name__ == "__main__":
    run(main)
