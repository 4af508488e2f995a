"""The networks: one module each, built by name from the `model` section."""

from torch import nn

from kws.config import Model
from kws.models.crnn import CRNN


def build_model(model: Model, n_frames: int, n_mels: int, n_labels: int) -> nn.Module:
    """Return a network from float32 [batch, 1, n_frames, n_mels] to logits float32 [batch, n_labels]."""
    return CRNN(model.channels, model.hidden, model.pool, n_frames, n_mels, n_labels)
