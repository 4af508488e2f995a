"""Trained weights with what is needed to use them: labels, network and front-end parameters."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from kws.config import Model
from kws.errors import UserError
from kws.features import FrontEnd
from kws.models import build_model


@dataclass(frozen=True)
class Checkpoint:
    """Weights (a state dict) and what they were trained for."""

    state: dict[str, Any]
    labels: list[str]
    model: Model
    front_end: FrontEnd

    def network(self) -> nn.Module:
        """Return the network with these weights, ready for inference."""
        network = build_model(self.model, self.front_end.n_frames, self.front_end.n_mels, len(self.labels))
        network.load_state_dict(self.state)
        return network.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write tensors and plain values only."""
    plain = {
        "state": checkpoint.state,
        "labels": checkpoint.labels,
        "model": checkpoint.model.model_dump(),
        "front_end": asdict(checkpoint.front_end),
    }
    torch.save(plain, path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint without running any code in it; UserError where it is not one of ours."""
    try:
        plain = torch.load(path, weights_only=True)
        model: Model = TypeAdapter(Model).validate_python(plain["model"])
        front_end = FrontEnd(**plain["front_end"])
        return Checkpoint(plain["state"], plain["labels"], model, front_end)
    except Exception as error:  # torch.load raises whatever foreign bytes lead it to
        raise UserError(f"{path}: not a checkpoint of this version; train again") from error
