"""Trained weights with what is needed to use them: labels, network and front-end parameters, versions."""

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from kws.common.errors import UserError
from kws.common.foreign import check_labels, typed
from kws.features.logmel import FrontEnd
from kws.models import build_model
from kws.params.sections import EncoderModel, Model

NUMBERS = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64}
"""What weights may be stored as."""


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

    def build(self) -> nn.Module:
        """Return the network with weights that are not yet these."""
        return build_model(self.model, self.front_end.n_frames, self.front_end.n_mels, len(self.labels))

    def network(self) -> nn.Module:
        """Return the network with these weights, ready for inference."""
        network = self.build()
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


def load_checkpoint(path: Path, front_end: FrontEnd | None = None, remedy: str = "train again") -> Checkpoint:
    """Read a checkpoint without running any code in it.

    Raises UserError, which ends in `remedy`, where it is not one of ours, lacks weights or holds some of
    another shape, or was trained on other features than `front_end` makes.
    """
    try:
        plain = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:  # of a file that is cut off, torch has one that names none
        why = error.strerror if error.filename else "not a checkpoint of this version"
        raise UserError(f"{path}: {why}; {remedy}") from error
    except Exception as error:  # torch.load raises whatever foreign bytes lead it to
        raise UserError(f"{path}: not a checkpoint of this version; {remedy}") from error
    try:
        checkpoint = _checkpoint(typed(_Plain, plain))
    except ValueError as error:  # pydantic's is one
        problem = " ".join(str(error).split())[:300]
        raise UserError(f"{path}: not a checkpoint of this version ({problem}); {remedy}") from error
    if front_end and front_end != checkpoint.front_end:
        changed = differences(asdict(checkpoint.front_end), asdict(front_end))
        raise UserError(f"{path}: trained on other features ({changed}); {remedy}")
    return checkpoint


@dataclass(frozen=True)
class _Plain:
    """A checkpoint as it lies in its file."""

    state: dict[str, Any]
    labels: list[str]
    model: dict[str, Any]
    front_end: FrontEnd
    versions: dict[str, str]


def _checkpoint(plain: _Plain) -> Checkpoint:
    """Return a checkpoint whose weights are those of its network; raise ValueError where they are not."""
    check_labels(plain.labels)
    model: Model = TypeAdapter(Model).validate_python(plain.model)
    checkpoint = Checkpoint(plain.state, plain.labels, model, plain.front_end, plain.versions)
    # shapes alone, of networks of any size; an encoder is small, and its random directions are slow to sham
    device = "cpu" if isinstance(model, EncoderModel) else "meta"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        wanted = checkpoint.build().state_dict()
    for name in wanted.keys() - plain.state.keys():
        raise ValueError(f"lacks the weights {name}")
    for name, value in plain.state.items():
        if name not in wanted:
            raise ValueError(f"holds the weights {name[:60]}, which {model.name} has not")
        if not isinstance(value, torch.Tensor) or value.dtype not in NUMBERS or value.device.type != "cpu":
            raise ValueError(f"{name} is no array of numbers")
        if value.layout != torch.strided or value.shape != wanted[name].shape:
            raise ValueError(f"{name} has the shape {list(value.shape)}, expected {list(wanted[name].shape)}")
        if value.is_floating_point() != wanted[name].is_floating_point() or not value.isfinite().all():
            raise ValueError(f"{name} holds other numbers than weights are")
    return checkpoint


def differences(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Return what is not as it was, by name; empty where all that is now was so."""
    return ", ".join(f"{key} {then.get(key)}, now {now[key]}" for key in now if now[key] != then.get(key))
