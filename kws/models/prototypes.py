"""From a direction to logits: a label is what comes near its prototype.

Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017 (arXiv:1703.05175), with the cosine
of Wang et al., "NormFace", ACM MM 2017 (arXiv:1704.06369).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 10.0
"""Logit of a clip that lies on a prototype."""


class Prototypes(nn.Module):
    """Directions [batch, embedding] to logits [batch, labels]: a prototype a keyword, many of the background.

    Inside, the background comes last; `order` says where each label is. Keywords keep their own order.
    """

    order: Tensor

    def __init__(self, embedding: int, prototypes: int, n_labels: int) -> None:
        """Start with random directions."""
        super().__init__()
        self.keywords = nn.Parameter(F.normalize(torch.randn(n_labels - 1, embedding)))
        self.background = nn.Parameter(F.normalize(torch.randn(prototypes, embedding)))
        self.register_buffer("order", torch.arange(n_labels))

    def forward(self, directions: Tensor) -> Tensor:
        """Return logits."""
        # as parts in the labels' order: indexing would be a Gather in ONNX, which NPUs compute with limits
        at = int(self.order.argmax())
        background = F.linear(directions, SCALE * self.background).amax(1, keepdim=True)
        parts = [F.linear(directions, SCALE * part) for part in (self.keywords[:at], self.keywords[at:])]
        return torch.cat([part for part in (parts[0], background, parts[1]) if part.shape[1]], 1)

    def place(self, directions: Tensor, labels: Tensor, background: int) -> None:
        """Put each keyword where its clips lie, and the background on some of its own, drawn at random."""
        with torch.no_grad():
            names = [label for label in range(len(self.order)) if label != background]
            means = torch.stack([directions[labels == label].mean(0) for label in names])
            self.keywords.copy_(F.normalize(means))
            own = directions[labels == background]
            self.background.copy_(own[torch.randint(len(own), (len(self.background),))])
            self.order.copy_(torch.argsort(torch.tensor([*names, background])))
