"""Convolutions over bands and time, then along time alone: it can be trained beforehand, on other words.

Residual blocks as in TC-ResNet of Choi et al., "Temporal Convolution for Real-time Keyword Spotting on Mobile
Devices", Interspeech 2019 (arXiv:1904.03814), on top of strided two-dimensional convolutions, which let a
formant move along the bands. What it hears becomes a direction, and a label is what comes near one of its
prototypes: Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017 (arXiv:1703.05175), with
the cosine of Wang et al., "NormFace", ACM MM 2017 (arXiv:1704.06369).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kws.models.layers import conv, conv_relu

STRIDES = ((2, 2), (1, 2), (2, 2), (1, 2))
"""Of the two-dimensional convolutions, along time and bands: a step of what follows takes 4 frames."""


SCALE = 10.0
"""Logit of a clip that lies on a prototype."""


class Encoder(nn.Module):
    """float32 [batch, 1, frames, mels] to logits float32 [batch, labels]."""

    def __init__(
        self,
        channels: list[int],
        width: int,
        blocks: int,
        kernel: int,
        embedding: int,
        words: int,
        prototypes: int,
        n_mels: int,
        n_labels: int,
    ) -> None:
        """`channels` are those of the two-dimensional convolutions, `width` and `kernel` those along time.

        `words` other words are known beforehand; `prototypes` more belong to the background.
        """
        super().__init__()
        self.frozen = False
        sizes = [(5, 5), *[(3, 3)] * (len(STRIDES) - 1)]
        steps = zip(pairwise([1, *channels]), sizes, STRIDES, strict=True)
        self.bands = nn.Sequential(*(conv_relu(*io, size, stride) for io, size, stride in steps))
        n_bands = n_mels
        for _, stride in STRIDES:
            n_bands = -(-n_bands // stride)
        self.merge = nn.Sequential(
            nn.Conv2d(channels[-1], width, (1, n_bands), bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.time = nn.Sequential(*(_Block(width, kernel) for _ in range(blocks)))
        self.embed = conv_relu(width, embedding, (1, 1))
        self.project = nn.Linear(embedding, embedding)
        self.head = Prototypes(embedding, words, prototypes, n_labels)

    def steps(self, features: Tensor) -> Tensor:
        """Return what is heard around each step of four frames: float32 [batch, width, steps, 1]."""
        steps: Tensor = self.time(self.merge(self.bands(features)))
        return steps

    def pool(self, steps: Tensor) -> Tensor:
        """Return what is heard in the whole clip: float32 [batch, embedding], 0 or more."""
        heard: Tensor = self.embed(steps).mean((2, 3))
        return heard

    def embedding(self, features: Tensor) -> Tensor:
        """Return what a clip sounds like: float32 [batch, embedding] of length 1."""
        heard = self.project(self.pool(self.steps(features)))
        direction: Tensor = heard / (heard.norm(dim=1, keepdim=True) + 1e-6)
        return direction

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.embedding(features))
        return logits

    def freeze(self) -> None:
        """Leave to training the background and keywords' biases; batch norm stops following batches too."""
        self.frozen = True
        self.requires_grad_(False)
        for own in (self.head.background, self.head.background_bias, self.head.keyword_bias):
            own.requires_grad_(True)

    def train(self, mode: bool = True) -> "Encoder":
        """Set the mode, in which what is frozen never trains."""
        return super().train(mode and not self.frozen)


class Prototypes(nn.Module):
    """Directions [batch, embedding] to logits [batch, labels]: a prototype a keyword, many of the background.

    Inside, the background comes last; `order` says where each label's logit is.
    """

    words: Tensor
    order: Tensor

    def __init__(self, embedding: int, words: int, prototypes: int, n_labels: int) -> None:
        """Start with random directions; those of `words` are never trained."""
        super().__init__()
        self.keywords = nn.Parameter(F.normalize(torch.randn(n_labels - 1, embedding)))
        self.keyword_bias = nn.Parameter(torch.zeros(n_labels - 1))
        self.background = nn.Parameter(F.normalize(torch.randn(prototypes, embedding)))
        self.background_bias = nn.Parameter(torch.zeros(prototypes))
        self.register_buffer("words", F.normalize(torch.randn(words, embedding)))
        self.register_buffer("order", torch.arange(n_labels))

    def forward(self, directions: Tensor) -> Tensor:
        """Return logits."""
        near = F.linear(directions, SCALE * self.keywords, self.keyword_bias)
        rest = SCALE * torch.cat([self.background, self.words])
        bias = torch.cat([self.background_bias, self.words.new_zeros(len(self.words))])
        background = F.linear(directions, rest, bias).amax(1, keepdim=True)
        return torch.cat([near, background], 1)[:, self.order]

    def place(self, directions: Tensor, labels: Tensor, background: int) -> None:
        """Put each keyword where its clips lie, and the background on some of its own, drawn at random."""
        with torch.no_grad():
            names = [label for label in range(len(self.order)) if label != background]
            means = torch.stack([directions[labels == label].mean(0) for label in names])
            self.keywords.copy_(F.normalize(means))
            own = directions[labels == background]
            self.background.copy_(own[torch.randint(len(own), (len(self.background),))])
            self.order.copy_(torch.argsort(torch.tensor([*names, background])))


class _Block(nn.Module):
    """Two convolutions along time and a shortcut."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv_relu(width, width, (kernel, 1)), conv(width, width, (kernel, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x) + x)
