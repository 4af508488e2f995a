"""The original network: two convolutions, a bidirectional GRU, one linear layer.

The family: Arik et al., "Convolutional Recurrent Neural Networks for Small-Footprint Keyword Spotting",
Interspeech 2017 (arXiv:1703.05390).
"""

from typing import Literal

from torch import Tensor, nn

from kws.common.errors import UserError


class CRNN(nn.Module):
    """float32 [batch, 1, frames, mels] to logits float32 [batch, labels]."""

    def __init__(
        self,
        channels: list[int],
        hidden: int,
        pool: Literal["mean", "last"],
        n_frames: int,
        n_mels: int,
        n_labels: int,
    ) -> None:
        """Both convolutions halve time and frequency: fewer than 4 frames or 4 bands are a UserError."""
        super().__init__()
        if min(n_frames, n_mels) < 4:
            raise UserError(
                f"model.name=crnn: needs 4 frames of 4 bands at least, features give {n_frames} of {n_mels}"
            )
        self.pool = pool
        self.conv = nn.Sequential(*_block(1, channels[0]), *_block(channels[0], channels[1]))
        self.gru = nn.GRU(channels[1] * (n_mels // 4), hidden, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, n_labels)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        sequence = self.conv(features).transpose(1, 2).flatten(2)
        states, _ = self.gru(sequence)
        pooled = states[:, -1] if self.pool == "last" else states.mean(1)
        logits: Tensor = self.fc(pooled)
        return logits


def _block(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
