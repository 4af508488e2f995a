"""The networks: one module each, built by name from the `model` section."""

from torch import nn

from kws.models.bcresnet import BCResNet
from kws.models.crnn import CRNN
from kws.models.dscnn import DSCNN
from kws.models.encoder import Encoder
from kws.models.tcresnet import TCResNet
from kws.params.sections import BcresnetModel, CrnnModel, DscnnModel, EncoderModel, Model, TcresnetModel


def build_model(model: Model, n_frames: int, n_mels: int, n_labels: int) -> nn.Module:
    """Return a network from float32 [batch, 1, n_frames, n_mels] to logits float32 [batch, n_labels]."""
    match model:
        case CrnnModel():
            return CRNN(model.channels, model.hidden, model.pool, n_frames, n_mels, n_labels)
        case DscnnModel():
            return DSCNN(model.channels, model.blocks, model.kernel, model.stride, n_labels)
        case TcresnetModel():
            return TCResNet(model.channels, model.kernel, n_mels, n_labels)
        case BcresnetModel():
            return BCResNet(model.tau, model.blocks, model.stride, n_mels, n_labels)
        case EncoderModel():
            return Encoder(model.prototypes, n_mels, n_labels)
