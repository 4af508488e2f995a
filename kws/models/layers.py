"""What the convolutional networks are made of. Tensors are [batch, channels, frames, bands]."""

from torch import nn

Pair = tuple[int, int]
"""Along time, along bands."""


def conv(
    n_in: int, n_out: int, kernel: Pair, stride: Pair = (1, 1), groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return a convolution with batch norm, which export folds into one Conv; `dilation` is along time.

    An odd kernel keeps the number of frames and bands, divided by the stride and rounded up.
    """
    padding = (dilation * (kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
    layer = nn.Conv2d(n_in, n_out, kernel, stride, padding, (dilation, 1), groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(n_out))


def conv_relu(
    n_in: int, n_out: int, kernel: Pair, stride: Pair = (1, 1), groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return `conv` and a ReLU."""
    return nn.Sequential(conv(n_in, n_out, kernel, stride, groups, dilation), nn.ReLU())
