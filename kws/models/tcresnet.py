"""Convolutions along time alone, in residual blocks: the mel bands are channels.

TC-ResNet of Choi et al., "Temporal Convolution for Real-time Keyword Spotting on Mobile Devices",
Interspeech 2019 (arXiv:1904.03814), without its dropout.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from kws.models.layers import conv, conv_relu


class TCResNet(nn.Module):
    """float32 [batch, 1, frames, mels] to logits float32 [batch, labels]."""

    def __init__(self, channels: list[int], kernel: int, n_mels: int, n_labels: int) -> None:
        """`channels` are those of the first convolution, then of each block; `kernel` is in frames."""
        super().__init__()
        self.stem = conv_relu(n_mels, channels[0], (3, 1))
        self.blocks = nn.Sequential(*(_Block(n_in, n_out, kernel) for n_in, n_out in pairwise(channels)))
        self.fc = nn.Linear(channels[-1], n_labels)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        bands_as_channels = features.transpose(1, 3)
        logits: Tensor = self.fc(self.blocks(self.stem(bands_as_channels)).mean((2, 3)))
        return logits


class _Block(nn.Module):
    """Two convolutions and a shortcut; where the number of channels changes, time is halved."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        stride = (1, 1) if n_in == n_out else (2, 1)
        self.conv = nn.Sequential(
            conv_relu(n_in, n_out, (kernel, 1), stride),
            conv(n_out, n_out, (kernel, 1)),
        )
        self.shortcut = nn.Identity() if n_in == n_out else conv_relu(n_in, n_out, (1, 1), stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x) + self.shortcut(x))
