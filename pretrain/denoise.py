"""Teach the public embedding to hear through noise and rooms: `python -m pretrain.denoise`.

Its pupil starts as itself, hears the clips as they are, and is to hear in them what the teacher hears of the
same voice alone. Writes pretrain/work/denoised.pt.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kws.common.seeding import rng
from kws.models.speech import Speech
from kws.params.whole import load_params
from kws.training.loop import arrange
from pretrain.clips import CLIPS
from pretrain.fit import BATCH, cosine, load, small
from pretrain.teacher import weights

DENOISED = CLIPS.parent / "denoised.pt"
EPOCHS, LR, WEIGHT_DECAY, WARMUP = 3, 5e-4, 1e-3, 200


def main() -> None:
    """Train, the rate a cosine from LR to zero, and keep the weights."""
    torch.manual_seed(1)
    clips, val = load()
    train, held_out = np.flatnonzero(~val), np.flatnonzero(val)
    speech = published(load_params(Path("params.yaml")).features.n_mels)
    arrange(speech, channels_last=True)
    optimiser = torch.optim.AdamW(speech.parameters(), LR, weight_decay=WEIGHT_DECAY)
    schedule = cosine(optimiser, EPOCHS * -(-len(train) // BATCH), WARMUP)

    def error(features: Tensor, alone: Tensor) -> Tensor:
        return F.mse_loss(clips.standard(said(speech, features)), alone)

    for epoch in range(EPOCHS):
        seen = []
        for features, _, alone in clips.batches(rng(1, "denoise", epoch).permutation(train)):
            loss = error(features, alone)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            seen.append(loss.item())
        with torch.inference_mode():
            checked = [error(features, alone).item() for features, _, alone in clips.batches(held_out)]
        print(
            f"epoch {epoch + 1} · error: train {np.mean(seen):.3f} · held out {np.mean(checked):.3f}",
            flush=True,
        )
    torch.save(small(speech), DENOISED)


def published(n_mels: int) -> Speech:
    """Return the public embedding, hearing our front end by bands that are like its own."""
    speech = Speech(n_mels)
    with np.load(CLIPS / "bands.npz", allow_pickle=False) as bands:
        values = [bands["weight"], bands["bias"], *weights()]
    with torch.no_grad():
        own = [*speech.bands.parameters(), *speech.layers.parameters()]
        for ours, theirs in zip(own, values, strict=True):
            ours.copy_(torch.tensor(theirs))
    return speech


def said(speech: Speech, features: Tensor) -> Tensor:
    """Return what is heard in clips, in the teacher's order: float32 [batch, 288]."""
    return speech.steps(features)[..., 0].transpose(1, 2).flatten(1)


if __name__ == "__main__":
    main()
