"""What a clip sounds like, by two networks that know other words and other people, as a direction.

One was taught to tell words of synthetic voices apart; the other, a public embedding that was taught to hear
through noise, knows how people differ. Neither is trained on the words of a user: those become prototypes.
"""

import torch
from torch import Tensor, nn

from kws.models import speech, words
from kws.models.prototypes import Prototypes
from kws.models.speech import Speech
from kws.models.words import Words

EMBEDDING = words.WIDTH + speech.WIDTH
"""Numbers in a direction."""
SPEECH = 0.7
"""What share of a cosine between directions is by the second network."""


class Encoder(nn.Module):
    """float32 [batch, 1, frames, mels] to logits float32 [batch, labels]."""

    def __init__(self, prototypes: int, n_mels: int, n_labels: int) -> None:
        """`prototypes` are those of the background."""
        super().__init__()
        self.words, self.speech = Words(n_mels), Speech(n_mels)
        self.head = Prototypes(EMBEDDING, prototypes, n_labels)

    def embedding(self, features: Tensor) -> Tensor:
        """Return what a clip sounds like: float32 [batch, EMBEDDING] of length 1."""
        return torch.cat([_of(self.words(features), 1 - SPEECH), _of(self.speech(features), SPEECH)], 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.embedding(features))
        return logits

    def freeze(self) -> None:
        """Leave the background alone to training; batch norm stops following batches too."""
        self.requires_grad_(False).eval()
        self.head.background.requires_grad_(True)


def _of(heard: Tensor, share: float) -> Tensor:
    # without the addition it becomes LpNormalization in ONNX, which is reported to fail on NPUs
    part: Tensor = heard * share**0.5 / (heard.norm(dim=1, keepdim=True) + 1e-6)
    return part
