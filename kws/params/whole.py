"""All of params.yaml: what holds between its sections, how it is read, and how errors in it are told."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent

from kws.common.errors import UserError
from kws.common.labels import Labelled, same_folder, without_take
from kws.common.terminal import plain
from kws.features.logmel import FrontEnd
from kws.params.sections import (
    ENCODER_HEARS,
    Augment,
    Ax630c,
    Ax650n,
    Calib,
    CrnnModel,
    Data,
    DetectorConfig,
    EncoderModel,
    Label,
    Machine,
    Model,
    Section,
    Seed,
    StreamConfig,
    Targets,
    Train,
    n_validation,
)

LONGEST = 300
"""Characters of foreign text in a message."""
TOLD = 5
"""Problems that one message names; those left over are counted."""


class Params(Section, Labelled):
    """All of params.yaml."""

    seed: Seed
    labels: Annotated[list[Label], Field(min_length=2, max_length=1000)]  # a row of files each
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
        folders: dict[str, str] = {}
        for label in self.labels:
            other = folders.setdefault(same_folder(label), label)
            if other != label:
                raise ValueError(
                    f"labels {other} and {label} are one folder on Windows and macOS; rename one of them"
                )
        for label in self.labels:
            whole = folders.get(same_folder(without_take(label)), label)
            if whole != label:
                raise ValueError(f"a recording called {label} is a take of {whole}; rename the label {label}")
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
                f"detector.hop_ms is {windows}, expected a multiple of features.hop_ms, {frames:g}"
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
    def _network(self) -> Self:
        if isinstance(self.model, CrnnModel) and self.features.n_frames < 4:
            raise ValueError(
                f"model.name=crnn needs 4 frames, features make {self.features.n_frames} of a clip"
            )
        if isinstance(self.model, EncoderModel):
            for name in ("time_mask", "freq_mask", "mixup_alpha"):
                if getattr(self.train, name):
                    raise ValueError(
                        f"train.{name} changes clips each time they are heard,"
                        " model=encoder hears them once; set it to 0"
                    )
            for name, value in ENCODER_HEARS.items():
                if (now := getattr(self.features, name)) != value:
                    raise ValueError(
                        f"features.{name} is {now}, but data/encoder/encoder.pt was made for {value}; change"
                        " it back, or choose a network that starts from nothing: model=tcresnet train=scratch"
                    )
        return self

    @model_validator(mode="after")
    def _clips(self) -> Self:
        clip_s, share = self.features.clip_s, self.augment.val_share
        hard = self.augment.n_hard(clip_s)
        if hard and set(self.augment.hard_kinds) == {"joined"} and len(self.keywords) < 2:
            raise ValueError(
                "augment.hard_kinds holds only `joined`, which needs two keywords; add another kind"
            )
        shards = [self.augment.per_class] * len(self.keywords)
        shards += [hard, self.augment.n_background(clip_s) - hard]
        train = sum(n - n_validation(n, share) for n in shards if n > 1)
        if self.calib.samples > train:
            raise ValueError(
                f"calib.samples is {self.calib.samples}, but there are only {train} training clips; lower it"
            )
        return self


def parse_params(values: Any, source: str) -> Params:
    """Return typed parameters, or raise UserError with one line that names wrong keys."""
    try:
        return Params.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise UserError(f"{source}: {_problems(error)}") from error
    except (TypeError, ValueError, RecursionError) as error:  # YAML can hold what JSON cannot
        raise UserError(f"{source}: {_line(error)}; expected plain keys and values") from error


def read_values(path: Path, source: str = "params.yaml") -> dict[str, Any]:
    """Return what params.yaml holds, read with the YAML version that DVC reads it with, whatever it means."""
    try:
        values = _parsed(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{source}: missing; write it with `kws compose`") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{source}: not YAML ({_line(error)}); run `kws compose`") from error
    if not isinstance(values, dict):
        raise UserError(f"{source}: holds no sections; run `kws compose`")
    return values


@lru_cache(maxsize=2)
def _parsed(content: bytes) -> Any:
    reader = YAML(typ="safe", pure=True)
    if b"*" in content and any(isinstance(event, AliasEvent) for event in reader.parse(content)):
        raise ValueError("it repeats parts by reference, and a few lines may so stand for gigabytes")
    return reader.load(content)  # 60 ms, and a stage asks four times


def load_params(path: Path, source: str = "params.yaml") -> Params:
    """Read params.yaml; errors call the file `source`, and say how to get back a file of that name."""
    values = read_values(path, source)
    try:
        return parse_params(values, source)
    except UserError as error:
        back = "; `kws compose` writes the file anew from conf/"
        raise UserError(f"{error}{back if source == 'params.yaml' else ''}") from error


@cache
def known_keys() -> list[str]:
    """Return every key of params.yaml with the sections it is in, of all networks and targets."""
    schema = Params.model_json_schema()

    def walk(node: dict[str, Any], place: str) -> Iterator[str]:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        for option in [*node.get("anyOf", []), *node.get("oneOf", [])]:
            yield from walk(option, place)
        for name, inner in node.get("properties", {}).items():
            yield place + name
            yield from walk(inner, f"{place}{name}.")

    return sorted(set(walk(schema, "")))


def unknown_key(key: str) -> str:
    """Return what to say of a key that is not there."""
    if key in known_keys():
        return "its network or target is not chosen; do so with model=… or target=[…]"
    near = get_close_matches(key, known_keys(), 1, 0.75)
    return f"unknown key; did you mean {near[0]}?" if near else "unknown key; conf/ holds all there are"


def load_target(folder: Path, name: str) -> Ax630c | Ax650n:
    """Read an Axera target's defaults from conf/target/, for when params.yaml has not chosen it."""
    kinds: dict[str, type[Ax630c] | type[Ax650n]] = {"ax630c": Ax630c, "ax650n": Ax650n}
    if name not in kinds:
        raise UserError(f"{name}: no Axera target, expected one of {', '.join(kinds)}")
    values = YAML(typ="safe", pure=True).load((folder / f"target/{name}.yaml").read_bytes())
    try:
        return kinds[name].model_validate(values)
    except ValidationError as error:
        raise UserError(f"{folder}/target/{name}.yaml: {_problems(error)}") from error


def _problems(error: ValidationError) -> str:
    """Return the first problems in one line."""
    found = error.errors()
    told = [f"{_key(e)}: {_explain(e)}" for e in found[:TOLD]]
    return "; ".join(told + [f"and {len(found) - TOLD} more"] * (len(found) > TOLD))


def _key(error: Any) -> str:
    """Return where a value stands in params.yaml: `model.blocks` where pydantic says `model.dscnn.blocks`."""
    first, *rest = (_line(part) for part in error["loc"] or ["params"])
    if first == "model":
        rest = ["name"] if error["type"].startswith("union_tag") else rest[1:]
    return ".".join([first, *rest])


def _explain(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return unknown_key(_key(error))
        case "union_tag_invalid":
            expected, got = error["ctx"]["expected_tags"], _line(error["ctx"]["tag"])
            return f"input should be one of {expected}, got {got!r}"
        case "union_tag_not_found":
            return "field required"
        case "too_short":
            return f"expected {error['ctx']['min_length']} or more, got {error['ctx']['actual_length']}"
        case "string_type" if isinstance(error["input"], bool | int | float | None):
            word = json.dumps(error["input"])
            return f"YAML reads {word} here, and ON, YES, NULL or 1 are no words to it; put quotes around it"
    message = _line(error["msg"].removeprefix("Value error, "))
    message = message[0].lower() + message[1:]
    simple = isinstance(error["input"], int | float | str | bool | None)
    return f"{message}, got {_line(repr(error['input']))}" if simple else message


def _line(foreign: object) -> str:
    """Return foreign text as a part of a message: one line, printable, not endless."""
    shown = plain(" ".join(str(foreign).split()))
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
