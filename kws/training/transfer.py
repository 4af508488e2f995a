"""Starting from weights that were trained beforehand, on other words by many voices."""

from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from kws.common.errors import UserError
from kws.features.logmel import FrontEnd
from kws.models.encoder import Encoder
from kws.params.sections import EncoderModel
from kws.training.checkpoint import Checkpoint, differences, load_checkpoint
from kws.training.dataset import Dataset

HEAD = "head."
"""So begin the names of weights that belong to labels, and start anew."""
FREE = {"clip_s", "dtype"}
"""What of the features need not be as it was: convolutions take clips of any length."""


def load_encoder(path: Path) -> Checkpoint:
    """Read the weights to start from. Raises UserError where they are not those of an encoder."""
    remedy = f"restore it with `git checkout -- {path}`"
    encoder = load_checkpoint(path, remedy=remedy)
    if not isinstance(encoder.model, EncoderModel):
        raise UserError(f"{path}: holds the weights of {encoder.model.name}, expected encoder; {remedy}")
    return encoder


def for_features(encoder: Checkpoint, front_end: FrontEnd) -> Checkpoint:
    """Return an encoder that hears these features. Raises UserError where it was made for others."""
    now = {name: value for name, value in asdict(front_end).items() if name not in FREE}
    if changed := differences(asdict(encoder.front_end), now):
        raise UserError(
            f"data/encoder/encoder.pt: made for other features ({changed});"
            " change them back, or choose a network that starts from nothing, such as model=tcresnet"
        )
    return replace(encoder, front_end=front_end)


def start_from(network: Encoder, encoder: Checkpoint, front_end: FrontEnd) -> None:
    """Give `network` all weights of `encoder` but those of labels, and freeze them.

    Raises UserError where the encoder hears other features.
    """
    state = for_features(encoder, front_end).state
    own = {name: value for name, value in network.state_dict().items() if name.startswith(HEAD)}
    theirs = {name: value for name, value in state.items() if not name.startswith(HEAD)}
    network.load_state_dict(own | theirs)
    network.freeze()


def place_prototypes(network: Encoder, heard: Dataset, background: int) -> None:
    """Put the prototypes of all labels where the clips of the training split lie."""
    directions, labels = heard.gather(np.arange(len(heard)))
    network.head.place(torch.from_numpy(directions[:, 0]), torch.from_numpy(labels), background)


def prototypes_alone(network: Encoder) -> nn.Module:
    """Return the part of a frozen encoder that is trained, for directions; its weights keep their names."""
    return nn.Sequential(OrderedDict(flat=nn.Flatten(), head=network.head))
