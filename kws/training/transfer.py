"""Starting from weights that were trained beforehand, on other words by many voices."""

from dataclasses import asdict

import torch

from kws.checkpoint import Checkpoint, differences
from kws.config import Model
from kws.dataset import Dataset
from kws.errors import UserError
from kws.features import FrontEnd
from kws.models.encoder import Encoder

OWN = tuple(f"head.{name}" for name in ("keywords", "keyword_bias", "background", "background_bias", "order"))
"""What belongs to labels, and starts anew."""
FREE = {"pretrained", "prototypes", "words", "clip_s", "dtype"}
"""What need not be as it was: convolutions take clips of any length."""
BATCH = 256


def start_from(network: Encoder, encoder: Checkpoint, model: Model, front_end: FrontEnd) -> None:
    """Give `network`, built as `model`, all weights of `encoder` but those of labels, and freeze them.

    Of the encoder's other words it gets the first, as many as it has room for. Raises UserError where it has
    room for more, where the encoder has other sizes or hears other features.
    """
    then = asdict(encoder.front_end) | encoder.model.model_dump()
    now = asdict(front_end) | model.model_dump()
    if changed := differences(then, {key: value for key, value in now.items() if key not in FREE}):
        raise UserError(f"model.pretrained: the encoder is another one ({changed}); set it to false")
    weights = {name: value for name, value in encoder.state.items() if name not in OWN}
    known, wanted = len(weights["head.words"]), len(network.head.words)
    if wanted > known:
        raise UserError(f"model.words: {wanted}, but the encoder knows {known}; set it to {known} at most")
    weights["head.words"] = weights["head.words"][:wanted]
    network.load_state_dict(weights, strict=False)
    network.freeze()


def place_prototypes(network: Encoder, clips: Dataset, background: int) -> None:
    """Put the prototypes of all labels where the clips of the training split lie."""
    network.eval()
    with torch.inference_mode():
        heard = [network.embedding(torch.from_numpy(features)) for features, _ in clips.batches(BATCH)]
    network.head.place(torch.cat(heard).clone(), torch.from_numpy(clips.labels), background)
