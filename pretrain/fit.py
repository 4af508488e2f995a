"""Teach the encoder what words sound like: `python -m pretrain.fit WORDS SPEECH`.

Its two parts start as those of the encoder.pt files WORDS and SPEECH. The layers of the second stay as they
are: taught along, they hear the voices and recordings that are learned from better, and others worse. Two
tasks at once: what the teachers hear of the word alone, and which word it is, by the angle between a clip's
direction and each word's (the normalised softmax of Wang et al., "NormFace", ACM MM 2017, arXiv:1704.06369).
A word starts where the teachers hear it, on average over all who say it. Writes pretrain/work/encoder.pt, and
goes on with the epoch at which it was stopped.
"""

import copy
import csv
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from kws.augment.splits import VAL
from kws.common.files import replacing
from kws.common.seeding import rng
from kws.models.encoder import EMBEDDING, Encoder
from kws.params.sections import EncoderModel
from kws.params.whole import load_params
from kws.training.checkpoint import Checkpoint, save_checkpoint
from kws.training.loop import arrange
from kws.training.regularise import mask
from pretrain.clips import CLIPS

OUT, BEGUN = CLIPS.parent / "encoder.pt", CLIPS.parent / "fitting.pt"
EPOCHS, BATCH, LR, WEIGHT_DECAY, WARMUP = 3, 128, 1e-3, 1e-2, 200
SCALE, SMOOTHING = 20.0, 0.1
"""Of the cosines before the softmax, and of its targets."""
TEACHERS = 20.0
"""Weight of how far a direction is from the teachers'."""
LOUDER = 1.6
"""Times what *speech* adds, in the end: it knows less of what was learned from, more of the rest."""
FIRST_CLIPS, RIDGE = 8192, 1e-3
"""By which the projections start, as well as they can be without further learning."""
TIME_MASK, FREQ_MASK = 10, 8
"""Longest masks, in frames and bands."""
STRETCH, MOVE = (0.15, 0.06), (0.12, 0.06)
"""Most that a clip is stretched and moved along time and bands, as shares; half the clip is 1 to move by."""
LABELS = ["KEYWORD", "FONDO"]


@dataclass(frozen=True)
class Clips:
    """Features [n, frames, mels], word of each or -1, and what the teachers heard, [n, EMBEDDING]."""

    features: NDArray[np.float16]
    words: NDArray[np.int64]
    taught: NDArray[np.float16]

    def batches(self, order: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield float32 [batch, 1, frames, mels], int64 [batch] and float32 [batch, EMBEDDING]."""
        for start in range(0, len(order), BATCH):
            rows = np.sort(order[start : start + BATCH])
            arrays = self.features[rows][:, None], self.words[rows], self.taught[rows]
            features, words, taught = map(torch.from_numpy, arrays)
            yield features.float(), words, taught.float()

    def means(self) -> Tensor:
        """Return where the teachers hear each word: float32 [words, EMBEDDING]."""
        known = np.flatnonzero(self.words >= 0)
        words = torch.from_numpy(self.words[known])
        sums = torch.zeros(int(words.max()) + 1, EMBEDDING)
        return F.normalize(sums.index_add_(0, words, torch.from_numpy(self.taught[known]).float()))


class Pupil(nn.Module):
    """The encoder with what only its training needs: a direction for each word."""

    def __init__(self, encoder: Encoder, words: Tensor) -> None:
        """`words` are the directions to start with."""
        super().__init__()
        self.encoder, self.words = encoder, nn.Parameter(words)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return directions, and logits of the words."""
        directions = self.encoder.embedding(features)
        return directions, SCALE * F.linear(directions, F.normalize(self.words))


def load() -> tuple[Clips, NDArray[np.bool_]]:
    """Return all clips and which of them validate."""
    with (CLIPS / "clips.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = {word: i for i, word in enumerate(sorted({row["word"] for row in rows} - {""}))} | {"": -1}
    words = np.array([numbers[row["word"]] for row in rows], np.int64)
    features, taught = (np.load(CLIPS / f"{name}.npy", allow_pickle=False) for name in ("features", "taught"))
    return Clips(features, words, taught), np.array([row["split"] == VAL for row in rows])


def warp(features: Tensor) -> Tensor:
    """Return clips [batch, 1, frames, mels] that are stretched and moved a little, each in its own way."""
    n = len(features)
    most = torch.tensor([STRETCH, MOVE]).flip(1)  # a grid has x, the bands, before y
    scale, offset = (most[:, None] * (2 * torch.rand(2, n, 2) - 1)).unbind()
    theta = torch.cat([torch.diag_embed(1 + scale), offset[..., None]], 2)
    grid = F.affine_grid(theta, list(features.shape), align_corners=False)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)


def parts(words: Path, speech: Path) -> dict[str, Tensor]:
    """Return the weights of a part of each of two encoders."""
    states = (torch.load(path, weights_only=True)["state"] for path in (words, speech))
    return {
        name: weight
        for part, state in zip(("words.", "speech."), states, strict=True)
        for name, weight in state.items()
        if name.startswith(part)
    }


def start_from(encoder: Encoder, former: dict[str, Tensor]) -> None:
    """Copy weights of a former encoder as far as they fit; a block that it lacks changes nothing at first."""
    for name, weight in encoder.words.time.named_parameters():
        if name.endswith("conv.1.1.weight"):  # the batch norm before the shortcut is added
            nn.init.zeros_(weight)
    with torch.no_grad():
        for name, own in encoder.state_dict().items():
            theirs = former.get(name)
            if theirs is not None and theirs.dim() == own.dim() and not name.startswith("head."):
                both = tuple(slice(min(sizes)) for sizes in zip(own.shape, theirs.shape, strict=True))
                own[both] = theirs[both].to(own.dtype)


@torch.no_grad()
def project(encoder: Encoder, clips: Clips, order: NDArray[np.int64]) -> None:
    """Start the projections with those that come nearest to the teachers, by least squares."""
    heard, taught = [], []
    for features, _, targets in clips.batches(order):
        steps = encoder.words.pool(encoder.words.steps(features)), encoder.speech.steps(features).flatten(1)
        heard.append(torch.cat([*steps, torch.ones(len(features), 1)], 1))
        taught.append(targets)
    x, y = torch.cat(heard).double(), torch.cat(taught).double()
    own = x.T @ x
    own += RIDGE * own.diagonal().mean() * torch.eye(len(own))
    solved = torch.linalg.solve(own, x.T @ y).float()
    n = encoder.words.project.in_features
    encoder.words.project.weight.copy_(solved[:n].T)
    encoder.speech.project.weight.copy_(solved[n:-1].T.view_as(encoder.speech.project.weight))
    for layer, bias in (encoder.words.project, solved[-1]), (encoder.speech.project, 0 * solved[-1]):
        assert layer.bias is not None
        layer.bias.copy_(bias)


def loss_of(pupil: Pupil, features: Tensor, words: Tensor, taught: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, hits among the words, and the cosine to the teachers."""
    directions, logits = pupil(features)
    known = words >= 0
    cosine = F.cosine_similarity(directions, taught).mean()
    loss = F.cross_entropy(logits[known], words[known], label_smoothing=SMOOTHING) - TEACHERS * cosine
    return loss, (logits[known].argmax(1) == words[known]).float().mean(), cosine.detach()


def main(words_of: Path, speech_of: Path) -> None:
    """Train, the rate a cosine from LR to zero, and keep the weights."""
    front_end = load_params(Path("params.yaml")).features
    torch.manual_seed(1)
    clips, val = load()
    train, held_out = np.flatnonzero(~val), np.flatnonzero(val)
    encoder = Encoder(1, front_end.n_mels, len(LABELS)).eval()
    start_from(encoder, parts(words_of, speech_of))
    for part in encoder.speech.bands, encoder.speech.layers:
        part.requires_grad_(False)
    pupil = Pupil(encoder, clips.means())
    arrange(pupil, channels_last=True)
    optimiser = torch.optim.AdamW(pupil.parameters(), LR, weight_decay=WEIGHT_DECAY)
    schedule = cosine(optimiser, EPOCHS * -(-len(train) // BATCH), WARMUP)
    done = 0
    if BEGUN.exists():
        begun = torch.load(BEGUN, weights_only=True)
        done = begun["epochs"]
        pupil.load_state_dict(begun["pupil"])
        optimiser.load_state_dict(begun["optimiser"])
        schedule.load_state_dict(begun["schedule"])
    else:
        project(encoder, clips, train[:FIRST_CLIPS])
    for epoch in range(done, EPOCHS):
        torch.manual_seed(epoch)
        pupil.train()
        seen = []
        for features, words, taught in clips.batches(rng(1, "pretrain", epoch).permutation(train)):
            heard = mask(warp(features), TIME_MASK, FREQ_MASK)
            loss, *figures = loss_of(pupil, heard, words, taught)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            seen.append([loss.item(), *(figure.item() for figure in figures)])
        pupil.eval()
        with torch.inference_mode():
            checked = [[x.item() for x in loss_of(pupil, *batch)] for batch in clips.batches(held_out)]
        told = (" ".join(f"{x:.3f}" for x in np.mean(rows, axis=0)) for rows in (seen, checked))
        print(f"epoch {epoch + 1} · loss, words, cosine: train {' · held out '.join(told)}", flush=True)
        with replacing(BEGUN) as written:
            begun = {"pupil": pupil.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save(begun | {"schedule": schedule.state_dict(), "epochs": epoch + 1}, written)
        model = EncoderModel(name="encoder", prototypes=1)
        save_checkpoint(Checkpoint(small(louder(encoder)), LABELS, model, front_end), OUT)


def cosine(optimiser: torch.optim.Optimizer, steps: int, warmup: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Return a schedule that rises for `warmup` steps, and falls to zero along a cosine."""

    def rate(step: int) -> float:
        return min(1, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def louder(encoder: Encoder) -> Encoder:
    """Return a copy in which *speech* counts for more."""
    changed = copy.deepcopy(encoder)
    for parameter in changed.speech.project.parameters():
        parameter.data.mul_(LOUDER)
    return changed


def small(network: nn.Module) -> dict[str, Tensor]:
    """Return weights in half precision, which costs less than their training noise; counters as they are."""
    return {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
