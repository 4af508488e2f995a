"""All of params.yaml: what holds between its sections, how it is read, and how errors in it are told."""

import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from kws.config import (
    Augment,
    Ax630c,
    Ax650n,
    Calib,
    Data,
    DetectorConfig,
    EncoderModel,
    Label,
    Machine,
    Model,
    Section,
    StreamConfig,
    Targets,
    Train,
)
from kws.errors import UserError
from kws.features import FrontEnd


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0)]
    labels: Annotated[list[Label], Field(min_length=2)]
    background: Label
    data: Data
    augment: Augment
    features: FrontEnd
    model: Model
    train: Train
    trainer: Machine
    calib: Calib
    stream: StreamConfig
    detector: DetectorConfig
    target: Targets

    @model_validator(mode="after")
    def _labels(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels holds one name twice: {' '.join(self.labels)}")
        if self.background not in self.labels:
            raise ValueError(
                f"background is {self.background}, expected one of labels: {' '.join(self.labels)}"
            )
        return self

    @model_validator(mode="after")
    def _hops(self) -> Self:
        windows, frames = self.detector.hop_ms, self.features.hop_ms
        if windows % frames:
            raise ValueError(
                f"detector.hop_ms is {windows:g}, expected a multiple of features.hop_ms, {frames:g}"
            )
        return self

    @model_validator(mode="after")
    def _training(self) -> Self:
        if self.train.batch_size % self.trainer.processes:
            raise ValueError(
                f"train.batch_size is {self.train.batch_size},"
                f" expected a multiple of the {self.trainer.processes} processes of trainer"
            )
        for mask, whole, unit in (
            ("time_mask", self.features.n_frames, "frames"),
            ("freq_mask", self.features.n_mels, "bands"),
        ):
            if getattr(self.train, mask) >= whole:
                raise ValueError(
                    f"train.{mask} is {getattr(self.train, mask)}, expected less than a clip's {whole} {unit}"
                )
        return self

    @model_validator(mode="after")
    def _encoder(self) -> Self:
        if isinstance(self.model, EncoderModel):
            for name in ("time_mask", "freq_mask", "mixup_alpha"):
                if getattr(self.train, name):
                    raise ValueError(
                        f"train.{name} changes clips each time they are heard,"
                        " model=encoder hears them once; set it to 0"
                    )
        return self

    @property
    def keywords(self) -> list[str]:
        """The labels that are not background, in order."""
        return [label for label in self.labels if label != self.background]

    @property
    def columns(self) -> list[int]:
        """Where the keywords are among a model's outputs."""
        return [self.labels.index(keyword) for keyword in self.keywords]


def parse_params(values: Any, source: str) -> Params:
    """Return typed parameters, or raise UserError with one line that names each wrong key."""
    try:
        return Params.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        problems = [f"{_key(e)}: {_explain(e)}" for e in error.errors()]
        raise UserError(f"{source}: " + "; ".join(problems)) from error


def load_params(path: Path, source: str = "params.yaml") -> Params:
    """Read params.yaml with the YAML version that DVC reads it with; errors call the file `source`."""
    try:
        values = YAML(typ="safe", pure=True).load(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{source}: missing; write it with `kws compose`") from error
    except YAMLError as error:
        raise UserError(f"{source}: not YAML ({' '.join(str(error).split())}); run `kws compose`") from error
    return parse_params(values, source)


def load_target(folder: Path, name: str) -> Ax630c | Ax650n:
    """Read an Axera target's defaults from conf/target/, for when params.yaml has not chosen it."""
    kinds: dict[str, type[Ax630c] | type[Ax650n]] = {"ax630c": Ax630c, "ax650n": Ax650n}
    if name not in kinds:
        raise UserError(f"{name}: no Axera target, expected one of {', '.join(kinds)}")
    values = YAML(typ="safe", pure=True).load((folder / f"target/{name}.yaml").read_bytes())
    return kinds[name].model_validate(values)


def _key(error: Any) -> str:
    """Return where a value stands in params.yaml: `model.blocks` where pydantic says `model.dscnn.blocks`."""
    first, *rest = map(str, error["loc"] or ["params"])
    if first == "model":
        rest = ["name"] if error["type"].startswith("union_tag") else rest[1:]
    return ".".join([first, *rest])


def _explain(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "unknown key; check its spelling against conf/"
        case "union_tag_invalid":
            return f"input should be one of {error['ctx']['expected_tags']}, got {error['ctx']['tag']!r}"
        case "union_tag_not_found":
            return "field required"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    simple = isinstance(error["input"], int | float | str | bool | None)
    return f"{message}, got {error['input']!r}" if simple else message
