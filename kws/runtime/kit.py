"""All that hearing keywords takes: a model, the front end that it was trained with, and a detector."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws.detector import DetectorSpec, read_spec
from kws.errors import UserError
from kws.features import FrontEnd
from kws.inference import Classifier
from kws.runtime.backends import open_session


@dataclass(frozen=True)
class Kit:
    """A model with what belongs to it, checked against each other."""

    model: Classifier
    front_end: FrontEnd
    detector: DetectorSpec
    source: str
    """where it came from, for people"""

    def __post_init__(self) -> None:
        """Raise UserError where the parts do not fit together."""
        shape = [1, 1, self.front_end.n_frames, self.front_end.n_mels]
        found = list(self.model.session.get_inputs()[0].shape)
        labels = self.detector.labels
        if found != shape:
            raise UserError(f"{self.source}: the model takes {found}, its front end gives {shape}")
        if self.model.n_labels != len(labels):
            raise UserError(
                f"{self.source}: the model has {self.model.n_labels} outputs for {len(labels)} labels"
            )
        if missing := set(self.detector.keywords) - set(self.detector.on):
            raise UserError(f"{self.source}: the detector has no threshold for {' '.join(sorted(missing))}")


def read_detector(path: Path) -> DetectorSpec:
    """Read detector.json. Raises UserError where it is missing or is none."""
    if not path.is_file():
        raise UserError(f"{path}: no such detector; make it with `dvc repro evaluate`, or use --bundle")
    try:
        return read_spec(path)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a detector of this version ({error!r}); make it again") from error


def front_end_of(values: Any, source: str) -> FrontEnd:
    """Return a front end of its parameters. Raises UserError for those that this version does not know."""
    try:
        return FrontEnd(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{source}: a front end that this version does not know ({error})") from error


def read_kit(model: Path, detector: Path) -> Kit:
    """Read an ONNX model, which names its front end and labels, and its detector.

    Raises UserError where either is missing, or where they name different labels.
    """
    session, spec = open_session(model), read_detector(detector)
    try:
        told = session.get_modelmeta().custom_metadata_map  # type: ignore[attr-defined]
        labels, values = json.loads(told["labels"]), json.loads(told["front_end"])
    except (AttributeError, KeyError, ValueError) as error:
        raise UserError(f"{model}: does not tell its labels and front end; use --bundle") from error
    if labels != spec.labels:
        raise UserError(f"{detector}: made for other labels than {model}; run `dvc repro evaluate`")
    return Kit(Classifier(session), front_end_of(values, str(model)), spec, str(model))
