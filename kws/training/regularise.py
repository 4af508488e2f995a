"""Changes to a batch that make a network generalise: masks and mixtures, drawn from torch's random state."""

import torch
from torch import Tensor
from torchaudio.functional import mask_along_axis_iid


def mask(features: Tensor, frames: int, bands: int) -> Tensor:
    """Zero at most `frames` neighbouring frames and `bands` neighbouring bands of each clip; 0 masks none.

    Park et al., "SpecAugment", Interspeech 2019 (arXiv:1904.08779), without its warping. Features are
    [n, 1, frames, n_mels]; after `features.norm=cmvn` a zero is the band's mean.
    """
    masked: Tensor = mask_along_axis_iid(
        mask_along_axis_iid(features, frames, 0.0, axis=2), bands, 0.0, axis=3
    )
    return masked


def mixup(features: Tensor, alpha: float) -> tuple[Tensor, Tensor, float]:
    """Return each clip mixed with another of its batch, which one [n], and its own share, from 0.5 to 1.

    The share is that of the larger part, so that the clip's own label stays the likelier one.
    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018 (arXiv:1710.09412).
    """
    other = torch.randperm(len(features), device=features.device)
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    share = max(share, 1 - share)
    return share * features + (1 - share) * features[other], other, share
