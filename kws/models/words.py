"""A network that was taught to tell words apart, whoever says them: how a clip sounds to it.

Residual blocks as in TC-ResNet of Choi et al., "Temporal Convolution for Real-time Keyword Spotting on Mobile
Devices", Interspeech 2019 (arXiv:1904.03814), on top of strided two-dimensional convolutions, which let a
formant move along the bands.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from kws.models.layers import conv, conv_relu

CHANNELS = (16, 24, 48, 48)
"""Of the two-dimensional convolutions."""
STRIDES = ((2, 2), (1, 2), (2, 2), (1, 2))
"""Of the same, along time and bands: a step of what follows takes 4 frames."""
CHANNELS_IN_TIME, KERNEL, BLOCKS = 96, 5, 5
"""Of the convolutions along time."""
POOLED = 384
"""Of what is heard in a clip, before it is projected."""


class Words(nn.Module):
    """float32 [batch, 1, frames, mels] to [batch, width]."""

    def __init__(self, n_mels: int, width: int) -> None:
        """Take `n_mels` bands."""
        super().__init__()
        sizes = [(5, 5), *[(3, 3)] * (len(STRIDES) - 1)]
        steps = zip(pairwise([1, *CHANNELS]), sizes, STRIDES, strict=True)
        self.bands = nn.Sequential(*(conv_relu(*io, size, stride) for io, size, stride in steps))
        n_bands, n = n_mels, CHANNELS_IN_TIME
        for _, stride in STRIDES:
            n_bands = -(-n_bands // stride)
        self.merge = nn.Sequential(
            nn.Conv2d(CHANNELS[-1], n, (1, n_bands), bias=False), nn.BatchNorm2d(n), nn.ReLU()
        )
        self.time = nn.Sequential(*(_Block(n, KERNEL) for _ in range(BLOCKS)))
        self.embed = conv_relu(n, POOLED, (1, 1))
        self.project = nn.Linear(POOLED, width)

    def steps(self, features: Tensor) -> Tensor:
        """Return what is heard around each step of four frames: float32 [batch, 96, steps, 1]."""
        steps: Tensor = self.time(self.merge(self.bands(features)))
        return steps

    def pool(self, steps: Tensor) -> Tensor:
        """Return what is heard in the whole clip: float32 [batch, POOLED], 0 or more."""
        heard: Tensor = self.embed(steps).mean((2, 3))
        return heard

    def forward(self, features: Tensor) -> Tensor:
        """Return what it adds to an embedding."""
        heard: Tensor = self.project(self.pool(self.steps(features)))
        return heard


class _Block(nn.Module):
    """Two convolutions along time and a shortcut."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv_relu(width, width, (kernel, 1)), conv(width, width, (kernel, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x) + x)
