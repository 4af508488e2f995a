"""Blocks that convolve along the bands, then along time on the bands' mean, broadcast back to all of them.

BC-ResNet of Kim et al., "Broadcasted Residual Learning for Efficient Keyword Spotting", Interspeech 2021
(arXiv:2106.04140). Made for the NPU: ReLU stands in for Swish, and one batch norm for the sub-spectral
ones, because it folds into the convolution. There is no dropout.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from kws.models.layers import Pair, conv, conv_relu

CHANNELS = (16, 8, 12, 16, 20)
"""At tau = 1: after the first convolution, then of the four stages."""
HEAD = 32
"""At tau = 1: channels that the linear layer reads."""
HALVES_BANDS = (False, True, True, False)
"""What each stage's first block does."""


class BCResNet(nn.Module):
    """float32 [batch, 1, frames, mels] to logits float32 [batch, labels]."""

    def __init__(self, tau: float, blocks: list[int], stride: Pair, n_mels: int, n_labels: int) -> None:
        """`tau` scales all channels; `blocks` counts each stage's; `stride` is the first convolution's."""
        super().__init__()
        channels = [round(tau * n) for n in CHANNELS]
        layers: list[nn.Module] = [conv_relu(1, channels[0], (5, 5), stride)]
        bands = -(-n_mels // stride[1])
        for stage, (n_in, n_out) in enumerate(pairwise(channels)):
            step = 2 if HALVES_BANDS[stage] else 1
            layers += [_Block(n_in, n_out, step, 2**stage)]
            layers += [_Block(n_out, n_out, 1, 2**stage) for _ in range(blocks[stage] - 1)]
            bands = -(-bands // step)
        n, head = channels[-1], round(tau * HEAD)
        all_bands = nn.Conv2d(n, n, (5, bands), padding=(2, 0), groups=n, bias=False)
        self.conv = nn.Sequential(*layers, all_bands, nn.BatchNorm2d(n), conv_relu(n, head, (1, 1)))
        self.fc = nn.Linear(head, n_labels)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.fc(self.conv(features).mean((2, 3)))
        return logits


class _Block(nn.Module):
    """The first block of a stage changes the channels and has no way around it; the others have one."""

    def __init__(self, n_in: int, n_out: int, step: int, dilation: int) -> None:
        super().__init__()
        self.first = n_in != n_out
        self.widen = conv_relu(n_in, n_out, (1, 1)) if self.first else nn.Identity()
        self.bands = conv(n_out, n_out, (1, 3), (1, step), groups=n_out)
        self.time = nn.Sequential(
            conv_relu(n_out, n_out, (3, 1), groups=n_out, dilation=dilation),
            nn.Conv2d(n_out, n_out, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        bands = self.bands(self.widen(x))
        y = bands + self.time(bands.mean(3, keepdim=True))
        return F.relu(y if self.first else y + x)
