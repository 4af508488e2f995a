"""What a clip sounds like, by two networks that know other words and other people, as a direction.

One was taught to tell words of synthetic voices apart and hears through noise; the other, a public embedding,
knows how people differ. Neither is trained on the words of a user: those become prototypes.
"""

import torch
from torch import Tensor, nn

from kws.models import speech, words
from kws.models.prototypes import Prototypes
from kws.models.speech import Speech
from kws.models.words import Words

EMBEDDING = words.WIDTH + speech.WIDTH
"""Numbers in a direction: half its length is by each network."""


class Encoder(nn.Module):
    """float32 [batch, 1, frames, mels] to logits float32 [batch, labels]."""

    def __init__(self, prototypes: int, n_mels: int, n_labels: int) -> None:
        """`prototypes` are those of the background."""
        super().__init__()
        self.words, self.speech = Words(n_mels), Speech(n_mels)
        self.head = Prototypes(EMBEDDING, prototypes, n_labels)

    def embedding(self, features: Tensor) -> Tensor:
        """Return what a clip sounds like: float32 [batch, EMBEDDING] of length 1."""
        return torch.cat([_half(self.words(features)), _half(self.speech(features))], 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.embedding(features))
        return logits

    def freeze(self) -> None:
        """Leave the background alone to training; batch norm stops following batches too."""
        self.requires_grad_(False).eval()
        self.head.background.requires_grad_(True)


def _half(heard: Tensor) -> Tensor:
    # without the addition it becomes LpNormalization in ONNX, which is reported to fail on NPUs
    half: Tensor = heard * 0.5**0.5 / (heard.norm(dim=1, keepdim=True) + 1e-6)
    return half
