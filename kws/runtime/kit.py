"""All that hearing keywords takes: a model, the front end that it was trained with, and a detector."""

from dataclasses import dataclass
from pathlib import Path

from kws.common.errors import UserError
from kws.common.foreign import check_labels, parse_json, typed
from kws.detector import DetectorSpec, read_spec
from kws.features.logmel import FrontEnd
from kws.runtime.backends import open_session
from kws.runtime.inference import Classifier, Session


@dataclass(frozen=True)
class Kit:
    """A model with what belongs to it, checked against each other."""

    model: Classifier
    front_end: FrontEnd
    detector: DetectorSpec
    source: str
    """where it came from, for people"""


def assemble(session: Session, front_end: FrontEnd, spec: DetectorSpec, source: str) -> Kit:
    """Return a kit of a loaded model and what belongs to it; raise UserError where the parts do not fit."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = [list(array.shape) for array in (*inputs, *outputs)]
    shapes = [[1, 1, front_end.n_frames, front_end.n_mels], [1, len(spec.labels)]]
    if found != shapes or len(inputs) != 1:
        raise UserError(
            f"{source}: the model goes from {found[: len(inputs)]} to {found[len(inputs) :]}, "
            f"expected {shapes[:1]} to {shapes[1:]}: its front end and a number for each label"
        )
    if any(getattr(array, "type", "tensor(float)") != "tensor(float)" for array in (*inputs, *outputs)):
        raise UserError(f"{source}: the model computes with other numbers than float32")
    frames = spec.rules.hop_ms / front_end.hop_ms
    if frames < 1 or frames != round(frames):
        raise UserError(
            f"{source}: the detector's hop_ms is {spec.rules.hop_ms:g},"
            f" expected a multiple of the front end's {front_end.hop_ms:g}"
        )
    if spec.window_s != front_end.clip_s:
        raise UserError(
            f"{source}: the detector's windows are {spec.window_s:g} s,"
            f" the model hears {front_end.clip_s:g} s"
        )
    return Kit(Classifier(session), front_end, spec, source)


def read_detector(path: Path) -> DetectorSpec:
    """Read detector.json. Raises UserError where it is missing or is none."""
    if not path.is_file():
        raise UserError(f"{path}: no such detector; make it with `dvc repro evaluate`, or use --bundle")
    return read_spec(path)


def read_kit(model: Path, detector: Path) -> Kit:
    """Read an ONNX model, which names its front end and labels, and its detector.

    Raises UserError where either is missing, or where they name different labels.
    """
    session, spec = open_session(model), read_detector(detector)
    labels, front_end = read_metadata(session, model)
    if labels != spec.labels:
        raise UserError(f"{detector}: made for other labels than {model}; run `dvc repro evaluate`")
    return assemble(session, front_end, spec, str(model))


def read_metadata(session: Session, model: Path) -> tuple[list[str], FrontEnd]:
    """Return the labels and the front end that a model names. Raises UserError where it does not."""
    try:
        told = session.get_modelmeta().custom_metadata_map  # type: ignore[attr-defined]
        labels = typed(list[str], parse_json(told["labels"]))
        check_labels(labels)
        return labels, typed(FrontEnd, parse_json(told["front_end"]))
    except (AttributeError, KeyError) as error:
        raise UserError(f"{model}: does not tell its labels and front end; use --bundle") from error
    except ValueError as error:
        raise UserError(f"{model}: tells no labels and front end of this version ({error})") from error
