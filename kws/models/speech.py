"""A public embedding of speech that recordings of very many people made: how a clip sounds to it.

Lin, Kilgour, Roblek and Sharifi, "Training Keyword Spotters with Limited and Synthesized Speech Data", ICASSP
2020 (arXiv:2002.01322): convolutions along bands and along time in turn. They were taught further, to hear
through noise; the projection after them is ours.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BANDS = 32
"""Mel bands that it hears."""
STAGES = ((24, 1, (2, 2)), (48, 2, (1, 2)), (72, 2, (2, 2)), (96, 2, (1, 2)), (96, 2, (2, 2)))
"""Channels, how often bands and time are convolved, and what is pooled then, along time and bands."""
FLOOR, SLOPE = -2.0, 0.2
"""Of its activations: the lowest value they take, and what is left of negative ones."""
LAST, FRAMES = 3, 92
"""Steps of eight frames that are heard together at the end, and what they span."""


class Speech(nn.Module):
    """float32 [batch, 1, frames, mels] to [batch, width]."""

    def __init__(self, n_mels: int, width: int) -> None:
        """Mix `n_mels` bands to those it knows."""
        super().__init__()
        self.bands = nn.Linear(n_mels, BANDS)
        layers: list[nn.Module] = []
        n_in = 1
        for channels, pairs, pool in STAGES:
            sizes = [(3, 3)] * (n_in == 1) + [(1, 3), (3, 1)] * pairs
            for size in sizes:
                layers += [nn.Conv2d(n_in, channels, size, padding=(0, size[1] // 2)), _Activation()]
                n_in = channels
            layers.insert(-1, nn.MaxPool2d(pool))  # before the activation, which has less to do then
        self.layers = nn.Sequential(*layers, nn.Conv2d(n_in, n_in, (3, 1), bias=False))
        self.project = nn.Conv2d(n_in, width, (LAST, 1))

    def steps(self, features: Tensor) -> Tensor:
        """Return what is heard around each step of eight frames: float32 [batch, 96, steps, 1].

        A clip that is too short is taken to go on with its mean.
        """
        missing = max(0, FRAMES - features.shape[2])
        clips = F.pad(features, (0, 0, 0, missing)) if missing else features
        steps: Tensor = self.layers(self.bands(clips))
        return steps

    def forward(self, features: Tensor) -> Tensor:
        """Return what it adds to an embedding."""
        heard: Tensor = self.project(self.steps(features)).mean((2, 3), keepdim=True)
        return heard.flatten(1)  # one step has no mean: with keepdim, ONNX gets a Reshape and no Squeeze


class _Activation(nn.Module):
    """A leaky ReLU of what is not below FLOOR."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(torch.clamp_min(x, FLOOR), SLOPE)
