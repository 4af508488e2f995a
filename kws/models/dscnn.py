"""A wide convolution, then depthwise separable ones.

DS-CNN of Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers", 2017 (arXiv:1711.07128).
"""

from torch import Tensor, nn

from kws.models.layers import Pair, conv_relu


class DSCNN(nn.Module):
    """float32 [batch, 1, frames, mels] to logits float32 [batch, labels]."""

    def __init__(self, channels: int, blocks: int, kernel: Pair, stride: Pair, n_labels: int) -> None:
        """`kernel` and `stride` belong to the first convolution; the others keep the size."""
        super().__init__()
        layers = [conv_relu(1, channels, kernel, stride)]
        for _ in range(blocks):
            layers += [conv_relu(channels, channels, (3, 3), groups=channels)]
            layers += [conv_relu(channels, channels, (1, 1))]
        self.conv = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, n_labels)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.fc(self.conv(features).mean((2, 3)))
        return logits
