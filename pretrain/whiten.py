"""What is the same in all voices: `python -m pretrain.whiten` adds it to the fitted encoder.

Reads pretrain/work/fitted.pt and writes pretrain/work/encoder.pt with a projection in which the clips of a
word differ alike in all directions, and with a prototype of each word. It is within-class covariance
normalisation: Hatch, Kajarekar and Stolcke, "Within-class Covariance Normalization for SVM-based Speaker
Recognition", Interspeech 2006; there a class is a speaker, here it is a word.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from kws.checkpoint import load_checkpoint, save_checkpoint
from kws.models.encoder import Encoder
from pretrain.fit import FITTED, load, small

OUT = Path("pretrain/work/encoder.pt")
RIDGE = 0.1
"""Of the mean variance, added to all directions."""


def within_class(heard: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the projection of clips [n, embedding], of which each says a word [n]."""
    counts = torch.bincount(words)[:, None]
    means = torch.zeros(len(counts), heard.shape[1]).index_add_(0, words, heard) / counts
    apart = heard - means[words]
    variances, axes = torch.linalg.eigh(apart.T @ apart / len(apart))
    weight = axes @ torch.diag((variances + RIDGE * variances.mean()) ** -0.5) @ axes.T
    return weight, -weight @ heard.mean(0)


def main() -> None:
    """Write the encoder that is shipped."""
    fitted = load_checkpoint(FITTED)
    network = fitted.network()
    assert isinstance(network, Encoder)
    clips, val = load()
    features, words = clips.features[~val], torch.from_numpy(clips.words[~val])
    known = words >= 0
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(features)[:, None], 256)
        heard = torch.cat([network.pool(network.steps(batch.float())) for batch in batches])[known]
        weight, bias = within_class(heard, words[known])
        directions = F.normalize(F.linear(heard, weight, bias))
        prototypes = torch.zeros_like(network.head.words).index_add_(0, words[known], directions)
    state = fitted.state | {
        "project.weight": small(weight),
        "project.bias": small(bias),
        "head.words": small(F.normalize(prototypes)),
    }
    save_checkpoint(replace(fitted, state=state), OUT)


if __name__ == "__main__":
    main()
