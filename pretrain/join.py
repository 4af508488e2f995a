"""Join the fitted network and the denoised one: `python -m pretrain.join` writes pretrain/work/encoder.pt.

Both get a projection in which the clips of a word differ alike in all directions.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kws.models.encoder import Encoder
from kws.params.sections import EncoderModel
from kws.params.whole import load_params
from kws.training.checkpoint import Checkpoint, save_checkpoint
from pretrain.clips import CLIPS
from pretrain.denoise import DENOISED
from pretrain.fit import FITTED, load, small
from pretrain.within import within_class

OUT = CLIPS.parent / "encoder.pt"
BATCH = 64


@torch.inference_mode()
def main() -> None:
    """Write the encoder that is shipped."""
    front_end = load_params(Path("params.yaml")).features
    encoder = Encoder(1, front_end.n_mels, n_labels=2).eval()
    encoder.words.load_state_dict(torch.load(FITTED, weights_only=True))
    encoder.speech.load_state_dict(torch.load(DENOISED, weights_only=True))
    clips, val = load()
    known = np.flatnonzero(~val & (clips.words >= 0))
    heard: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(known), BATCH):
        batch = torch.from_numpy(clips.features[known[start : start + BATCH]][:, None]).float()
        steps = encoder.words.steps(batch), encoder.speech.steps(batch)
        heard.append((encoder.words.pool(steps[0]), steps[1].flatten(1)))
    said, spoken = map(torch.cat, zip(*heard, strict=True))
    words = torch.from_numpy(clips.words[known])
    project(encoder.words.project, said, words)
    project(encoder.speech.project, spoken, words)
    model = EncoderModel(name="encoder", prototypes=1)
    save_checkpoint(Checkpoint(small(encoder), ["KEYWORD", "FONDO"], model, front_end), OUT)


def project(layer: nn.Linear | nn.Conv2d, heard: Tensor, words: Tensor) -> None:
    """Set a projection of what clips [n, …] of words [n] are heard as."""
    weight, bias = within_class(heard, words)
    layer.weight.copy_(weight.view_as(layer.weight))
    assert layer.bias is not None
    layer.bias.copy_(bias)


if __name__ == "__main__":
    main()
