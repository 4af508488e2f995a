"""What a clip sounds like, by a network that knows other words and other people, as a direction.

It has two parts. One was made to tell words apart; the other is a public embedding, which knows how people
differ. Both were taught together what a word sounds like, whoever says it and through noise. Neither is
trained on the words of a user: those become prototypes.
"""

from torch import Tensor, nn

from kws.models.prototypes import Prototypes
from kws.models.speech import Speech
from kws.models.words import Words

EMBEDDING = 384
"""Numbers in a direction."""


class Encoder(nn.Module):
    """float32 [batch, 1, frames, mels] to logits float32 [batch, labels]."""

    def __init__(self, prototypes: int, n_mels: int, n_labels: int) -> None:
        """`prototypes` are those of the background."""
        super().__init__()
        self.words, self.speech = Words(n_mels, EMBEDDING), Speech(n_mels, EMBEDDING)
        self.head = Prototypes(EMBEDDING, prototypes, n_labels)

    def embedding(self, features: Tensor) -> Tensor:
        """Return what a clip sounds like: float32 [batch, EMBEDDING] of length 1."""
        heard: Tensor = self.words(features) + self.speech(features)
        # without the addition it becomes LpNormalization in ONNX, which is reported to fail on NPUs
        direction: Tensor = heard / (heard.norm(dim=1, keepdim=True) + 1e-6)
        return direction

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.embedding(features))
        return logits

    def freeze(self) -> None:
        """Leave the background alone to training; batch norm stops following batches too."""
        self.requires_grad_(False).eval()
        self.head.background.requires_grad_(True)
