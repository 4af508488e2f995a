"""Trained weights with what is needed to use them: labels, network and front-end parameters, versions."""

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from kws.config import Model
from kws.errors import UserError
from kws.features import FrontEnd
from kws.models import build_model


def versions() -> dict[str, str]:
    """Return what weights are trained with now."""
    return {"kws": version("kws"), "torch": str(torch.__version__)}


@dataclass(frozen=True)
class Checkpoint:
    """Weights (a state dict), what they were trained for, and what with."""

    state: dict[str, Any]
    labels: list[str]
    model: Model
    front_end: FrontEnd
    versions: dict[str, str] = field(default_factory=versions)

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
        "versions": checkpoint.versions,
    }
    with path.open("wb") as file:  # torch tells a full disk no better than "unexpected pos" where it opens it
        torch.save(plain, file)


def load_checkpoint(path: Path, front_end: FrontEnd | None = None) -> Checkpoint:
    """Read a checkpoint without running any code in it.

    Raises UserError where it is not one of ours, or was trained on other features than `front_end` makes.
    """
    try:
        plain = torch.load(path, weights_only=True)
        model: Model = TypeAdapter(Model).validate_python(plain["model"])
        trained = FrontEnd(**plain["front_end"])
        checkpoint = Checkpoint(plain["state"], plain["labels"], model, trained, plain["versions"])
    except Exception as error:  # torch.load raises whatever foreign bytes lead it to
        raise UserError(f"{path}: not a checkpoint of this version; train again") from error
    if front_end and front_end != trained:
        changed = differences(asdict(trained), asdict(front_end))
        raise UserError(f"{path}: trained on other features ({changed}); train again")
    return checkpoint


def differences(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Return what is not as it was, by name; empty where all that is now was so."""
    return ", ".join(f"{key} {then.get(key)}, now {now[key]}" for key in now if now[key] != then.get(key))
