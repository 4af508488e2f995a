"""The archive for somebody who has a board: models, inputs, and a script that runs them there."""

import io
import json
import re
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path

from kws.board.inputs import check_list, folders, read_inputs, read_labels
from kws.board.measure import PROBE
from kws.common.errors import UserError
from kws.common.files import replacing, sha256
from kws.common.foreign import check_labels
from kws.common.programs import MIB
from kws.params.whole import Params
from kws.runtime.inference import Classifier
from kws.targets.axmodel import CHIPS, TARGETS, read_axmodel, wrong_chip

SCRIPT = Path(__file__).with_name("handover.sh")
FOLDER, FACTS = "kws-board", "handover.json"
_README = """\
On the board, in this folder:   sh run.sh
It takes a few minutes, and writes results.tar here, also when something fails. Bring that one file back.
Where the board does not say its chip, name the model's folder: sh run.sh ax630c
"""


@dataclass(frozen=True)
class Model:
    """A compiled model of the archive; an empty string for what it does not say of itself."""

    sha256: str
    hardware: str
    npu_mode: str
    pulsar2: str
    precision: str


@dataclass(frozen=True)
class Handover:
    """What the results are compared with; it travels to the board and back."""

    labels: list[str]
    inputs: list[str]
    """Their folders, in the order of the list."""
    said: list[str]
    """The label of each."""
    float_logits: list[list[float]]
    """What the float model answers to each."""
    models: dict[str, Model]
    """By target."""

    def __post_init__(self) -> None:
        """Raise ValueError for what no archive of this project holds."""
        check_labels(self.labels)
        if not self.inputs or not len(self.inputs) == len(self.said) == len(self.float_logits):
            raise ValueError("inputs, said and float_logits are not of one length")
        if not all(re.fullmatch(r"[0-9]{1,9}", index) for index in self.inputs):
            raise ValueError("inputs holds something else than numbers")
        if not set(self.said) <= set(self.labels):
            raise ValueError("said holds a label that is not in labels")
        if any(len(row) != len(self.labels) for row in self.float_logits):
            raise ValueError("float_logits has not a number for each label")
        if not set(self.models) <= set(TARGETS):
            raise ValueError(f"models holds another target than {' and '.join(TARGETS)}")


def pack(out: Path, params: Params, models: Path, onnx: Path, calib: Path) -> list[str]:
    """Write the archive for the board, a .tar.gz, and return the targets whose models are in it.

    `models` holds a folder for each target, `calib` is what the stage of that name wrote. Raises UserError
    where a chosen target is not compiled, or no target for a board is chosen.
    """
    chosen = {name: target for name in TARGETS if (target := getattr(params.target, name))}
    if not chosen:
        raise UserError("params.yaml: target names no board; dvc exp run -S 'target=[host,ax630c]' first")
    check_list(calib / "list.txt")
    facts: dict[str, Model] = {}
    for name, target in chosen.items():
        path = models / name / "kws.axmodel"
        model = read_axmodel(path)
        if wrong := wrong_chip(model, target.hardware, target.npu_mode):
            raise UserError(f"{path} {wrong}; compile it for this target")
        said = (model.hardware or "", model.npu_mode or "", model.pulsar2 or "")
        facts[name] = Model(sha256(path), *said, target.precision)
    shape = (params.features.n_frames, params.features.n_mels)
    features, _ = read_inputs(calib, shape, params.labels)
    rows = read_labels(calib / "labels.csv", params.labels)
    if [row.index for row in rows] != folders(calib / "list.txt"):
        raise UserError(f"{calib}: list.txt and labels.csv name other inputs; run `calib` again")
    handover = Handover(
        params.labels,
        [row.index for row in rows],
        [row.label for row in rows],
        [[round(float(value), 6) for value in row] for row in Classifier(onnx).logits(features)],
        facts,
    )
    table = "".join(
        f"{name} {target.warmup} {target.repeat} {' '.join(CHIPS[target.hardware])}\n"
        for name, target in chosen.items()
    )
    texts = {
        "README.txt": _README,
        "run.sh": SCRIPT.read_text(encoding="utf-8"),
        "probe.sh": PROBE,
        "targets.txt": table,
        FACTS: json.dumps(asdict(handover)),
    }
    if len(texts[FACTS]) >= MIB:
        raise UserError(f"{calib}: {len(rows)} inputs are too many to be carried; lower calib.board_inputs")
    with replacing(out) as partial, tarfile.open(partial, "w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in texts.items():
            content = text.encode()
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        inputs = [f"input/{index}/input.bin" for index in handover.inputs]
        files = {name: calib / name for name in ("list.txt", *inputs)}
        files |= {f"{name}/kws.axmodel": models / name / "kws.axmodel" for name in chosen}
        for name, path in files.items():
            tar.add(path, f"{FOLDER}/{name}", filter=_anonymous)
    return list(chosen)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Take out who packed it, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
