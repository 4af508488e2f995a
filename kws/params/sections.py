"""The sections of params.yaml: unknown keys, wrong types and values out of range are errors."""

from itertools import combinations
from math import hypot
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from kws.common.errors import UserError
from kws.common.labels import wrong_name
from kws.detector import Rules

Probability = Annotated[float, Field(ge=0, le=1)]
Fragment = Literal["entering", "leaving", "beginning", "end", "swapped", "reversed", "joined"]
"""entering, leaving: a word that the window sees only the first or the last part of. beginning, end: the
same parts, spoken alone. swapped: the parts in the wrong order. reversed: backwards. joined: the first part
of one keyword and the last part of another."""


def _label(name: str) -> str:
    if wrong := wrong_name(name):
        raise ValueError(wrong)
    return name


def _folder(path: str) -> str:
    if not path or not path.isprintable():
        raise ValueError("a folder has a name, in characters that print")
    return path


def _within(low: float, high: float) -> AfterValidator:
    """Check a pair [low, high]: in order and inside these bounds."""

    def check(pair: tuple[float, float]) -> tuple[float, float]:
        if pair[0] > pair[1]:
            raise ValueError(f"range {list(pair)} runs downwards, expected [low, high]")
        if not low <= pair[0] <= pair[1] <= high:
            raise ValueError(f"range {list(pair)} leaves {low:g} to {high:g}")
        return pair

    return AfterValidator(check)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("input should be odd")
    return value


Label = Annotated[str, AfterValidator(_label)]
Folder = Annotated[str, AfterValidator(_folder)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1, le=1024)]
"""Of channels: a layer between 1024 and 1024 has a million weights, more than any chip here is for."""
Blocks = Annotated[int, Field(ge=1, le=64)]
Kernel = Annotated[int, Field(ge=1, le=128)]
Repeats = Annotated[int, Field(ge=1, le=1_000_000)]
"""Of one inference: half an hour at 2 ms."""
Warmup = Annotated[int, Field(ge=0, le=100_000)]
Pair = tuple[float, float]
Seconds = Annotated[Pair, _within(0.01, 5)]
Metres = Annotated[Pair, _within(1.5, 50)]
Hertz = Annotated[Pair, _within(10, 24000)]
Share = Annotated[Pair, _within(0.05, 0.95)]
Snr = Annotated[Pair, _within(-20, 60)]
Level = Annotated[Pair, _within(-90, 0)]
Slope = Annotated[Pair, _within(-12, 12)]

REFLECTIONS = 210
"""In a row, in a simulated room: one with 202 took 2.7 GB and 17 s, one with 303 took 9 GB and a minute."""
ENCODER_HEARS: dict[str, Any] = {
    "sample_rate": 16000,
    "window_ms": 25,
    "hop_ms": 10,
    "n_fft": 512,
    "n_mels": 64,
    "f_min": 20,
    "f_max": 8000,
    "preemphasis": 0.97,
    "norm": "mean",
}
"""The features that data/encoder/encoder.pt was made for, as far as they must be the same."""


def n_validation(n: int, val_share: float) -> int:
    """Return how many of n >= 2 items validate: at least one, and never all."""
    return min(max(1, round(n * val_share)), n - 1)


class Section(BaseModel):
    """What all sections share: no unknown keys, no silent conversions, no NaN, no changes after reading.

    Upper bounds protect the machine from what cannot be meant; `kws.params.cost` tells what is possible and
    large.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Data(Section):
    """Folders of audio, relative to the repository or absolute."""

    seeds: Folder
    voices: Folder
    negatives: Folder
    rirs: Folder
    eval: Folder
    streams: Folder


class Rooms(Section):
    """Simulated shoebox rooms; ranges are [low, high]."""

    count: Annotated[int, Field(ge=1, le=10_000)]  # every worker holds them all: 50 kB each at 0.6 s
    size_m: tuple[Metres, Metres, Metres]
    rt60_s: Seconds

    @staticmethod
    def reflections(size_m: list[float], rt60_s: float) -> float:
        """Return how many reflections in a row a simulation follows: time and memory grow with the cube."""
        return 343 * rt60_s / min(a * b / hypot(a, b) for a, b in combinations(size_m, 2))

    @model_validator(mode="after")
    def _memory(self) -> Self:
        most = self.reflections([low for low, _ in self.size_m], self.rt60_s[1])
        if most > REFLECTIONS:
            raise ValueError(
                f"the smallest room of size_m at the longest rt60_s means {most:.0f} reflections in a row,"
                f" expected {REFLECTIONS} at the most (3 GB a room); make rt60_s shorter or rooms larger"
            )
        return self


class Augment(Section):
    """How many clips are made of the recordings, and how they vary; `p_` is a probability."""

    per_class: Annotated[int, Field(ge=8, le=1_000_000)]  # 32 GB a label
    fondo_minutes: Annotated[float, Field(ge=0.5, le=100_000)]  # 190 GB
    val_share: Annotated[float, Field(gt=0, lt=1)]
    speech_share: Probability
    hard_share: Probability
    hard_kinds: Annotated[list[Fragment], Field(max_length=100)]
    hard_cut: Share
    p_shift: Probability
    max_shift_ms: Annotated[float, Field(ge=0, le=10_000)]  # the longest clip
    p_formant: Probability
    formant_octaves: Annotated[float, Field(ge=0, le=1)]
    p_stretch: Probability
    stretch_low: Annotated[float, Field(ge=0.5, le=1)]
    stretch_high: Annotated[float, Field(ge=1, le=2)]
    p_pitch: Probability
    pitch_semitones: Annotated[float, Field(ge=0, le=12)]
    p_reverb: Probability
    p_noise: Probability
    max_noises: Annotated[int, Field(ge=1, le=4)]
    snr_list: Annotated[list[Annotated[float, Field(ge=-20, le=60)]], Field(min_length=1, max_length=100)]
    snr_range: Snr | None
    use_fondo_as_noise: bool
    use_coloured_noise: bool
    noise_slope_db: Slope
    p_channel: Probability
    eq_db: Annotated[float, Field(ge=0, le=30)]
    low_hz: Hertz
    high_hz: Hertz
    level_dbfs: Level | None
    p_clip: Probability
    drive_db: Annotated[float, Field(ge=0, le=30)]
    offset: Annotated[float, Field(ge=0, le=0.1)]
    floor_dbfs: Level | None
    rooms: Rooms

    def n_background(self, clip_s: float) -> int:
        """Clips of the background label, hard negatives included."""
        return round(self.fondo_minutes * 60 / clip_s)

    def n_hard(self, clip_s: float) -> int:
        """Hard negatives: clips of the background label that are made from keywords."""
        return round(self.n_background(clip_s) * self.hard_share)

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.speech_share + self.hard_share > 1:
            raise ValueError("speech_share and hard_share add up to more than 1; lower one of them")
        if self.hard_share > 0 and not self.hard_kinds:
            raise ValueError("hard_kinds is empty, expected one kind at least while hard_share is not 0")
        return self


class CrnnModel(Section):
    """Two convolutions, a bidirectional GRU, one linear layer."""

    name: Literal["crnn"]
    channels: Annotated[list[Count], Field(min_length=2, max_length=2)]
    hidden: Count
    pool: Literal["mean", "last"]


class DscnnModel(Section):
    """A wide convolution, then depthwise separable ones; pairs are [time, bands]."""

    name: Literal["dscnn"]
    channels: Count
    blocks: Blocks
    kernel: tuple[Kernel, Kernel]
    stride: tuple[Count, Count]


class TcresnetModel(Section):
    """Convolutions along time, the bands as channels."""

    name: Literal["tcresnet"]
    channels: Annotated[list[Count], Field(min_length=2, max_length=64)]
    kernel: Annotated[Kernel, AfterValidator(_odd)]


class BcresnetModel(Section):
    """Convolutions along the bands, and along time on their mean; pairs are [time, bands]."""

    name: Literal["bcresnet"]
    tau: Annotated[float, Field(ge=0.5, le=16)]
    blocks: Annotated[list[Blocks], Field(min_length=4, max_length=4)]
    stride: tuple[Count, Count]


class EncoderModel(Section):
    """Convolutions whose weights are those of data/encoder/encoder.pt, and prototypes of labels."""

    name: Literal["encoder"]
    prototypes: Annotated[int, Field(ge=1, le=8192)]


Model = Annotated[
    CrnnModel | DscnnModel | TcresnetModel | BcresnetModel | EncoderModel, Field(discriminator="name")
]
"""The network, by name."""


class Train(Section):
    """The optimiser, what keeps it from overfitting, and when it stops."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=1, le=16_384)]  # 400 MB of default features
    lr: Annotated[float, Field(gt=0, le=1)]
    schedule: Literal["cosine", "constant"]
    warmup_share: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    clip_norm: Annotated[float, Field(ge=0, le=1e6)]
    monitor: Literal["val_loss", "val_accuracy"]
    patience: Annotated[int, Field(ge=0, le=10_000)]
    min_delta: Annotated[float, Field(ge=0, le=100)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    margin: Annotated[float, Field(ge=0, le=100)]
    class_weights: Literal["none", "balanced"]
    mixup_alpha: Annotated[float, Field(ge=0, le=10)]
    time_mask: Annotated[int, Field(ge=0)]
    freq_mask: Annotated[int, Field(ge=0)]


class Machine(Section):
    """What training runs on: the `trainer` section."""

    accelerator: Literal["cpu", "gpu", "auto"]
    devices: Annotated[int, Field(ge=1, le=64)]  # a process each, on this machine
    nodes: Annotated[int, Field(ge=1, le=1024)]
    strategy: Literal["auto", "ddp"]
    precision: Literal[32, "bf16"]
    channels_last: bool

    @property
    def processes(self) -> int:
        """Processes on all machines."""
        return self.devices * self.nodes


class Calib(Section):
    """How many clips calibrate the quantiser, and how many held-out ones measure it."""

    samples: Annotated[int, Field(ge=1, le=20_000)]  # all in memory, 25 kB each
    board_inputs: Annotated[int, Field(ge=1, le=20_000)]  # two files each, on the board's flash


class StreamConfig(Section):
    """The streams that evaluation voices are heard in."""

    seed: Seed
    voices: Annotated[int, Field(ge=1, le=100_000)] | None
    snr_db: Annotated[list[Annotated[float, Field(ge=-20, le=60)] | None], Field(min_length=1, max_length=32)]
    gap_s: Seconds
    level_dbfs: Level
    p_reverb: Probability
    rooms: Rooms

    @field_validator("snr_db")
    @classmethod
    def _places(cls, conditions: list[float | None]) -> list[float | None]:
        names = ["null" if snr is None else f"{snr:g}" for snr in conditions]
        if len(set(names)) < len(names):
            raise ValueError(f"holds one condition twice: {' '.join(names)}")
        return conditions


class DetectorConfig(Section):
    """When scores become an event, and how often that may be wrong; times are in milliseconds."""

    hop_ms: Annotated[float, Field(gt=0, le=1000)]
    smooth_ms: Annotated[float, Field(gt=0, le=5000)]
    hold_ms: Annotated[float, Field(gt=0, le=5000)]
    refractory_ms: Annotated[float, Field(gt=0, le=60000)]
    release: Annotated[float, Field(gt=0, le=1)]
    level_ms: Annotated[float, Field(gt=0, le=60000)]
    level_share: Annotated[float, Field(ge=0, le=1)]
    target_fa_per_hour: Annotated[float, Field(ge=0, le=3600)]

    @property
    def rules(self) -> Rules:
        """All but the target rate, from which the thresholds follow."""
        return Rules(**self.model_dump(exclude={"target_fa_per_hour"}))


class Host(Section):
    """This computer as a target."""

    calibration_method: Literal["MinMax", "Percentile", "Entropy"]
    float_input: bool
    float_ops: Annotated[list[str], Field(max_length=10_000)]
    threads: Annotated[int, Field(ge=1, le=1024)]
    warmup: Warmup
    repeat: Repeats


class Axera(Section):
    """What all Axera targets share: how Pulsar2 compiles, and how the board is measured."""

    image: Annotated[str, Field(pattern=r"^[\w.][\w./:@-]*$")]
    precision: Literal["int8", "input_u16", "edges_u16", "u16", "gru_fp32"]
    calibration_method: Literal["MinMax", "Percentile", "MSE", "KL"]
    calibration_format: Literal["Numpy", "Binary", "NumpyObject", "Image"]
    calibration_samples: Annotated[int, Field(ge=-1, le=20_000)]
    precision_analysis: bool
    timeout_min: Annotated[float, Field(gt=0, le=1440)]
    warmup: Warmup
    repeat: Repeats

    @field_validator("calibration_samples")
    @classmethod
    def _some(cls, value: int) -> int:
        if value == 0:
            raise ValueError("calibration without samples is impossible; expected 1 or more, or -1 for all")
        return value


class Ax630c(Axera):
    """The AX630C, which Pulsar2 calls AX620E: one core, of which NPU1 takes half the on-chip memory."""

    hardware: Literal["AX620E"]
    npu_mode: Literal["NPU1", "NPU2"]


class Ax650n(Axera):
    """The AX650N: three groups of cores, of which a model takes one, two or three."""

    hardware: Literal["AX650"]
    npu_mode: Literal["NPU1", "NPU2", "NPU3"]


class Targets(Section):
    """The chosen targets, by name."""

    host: Host | None = None
    ax630c: Ax630c | None = None
    ax650n: Ax650n | None = None

    def chosen(self, name: str) -> Host | Ax630c | Ax650n:
        """Return the parameters of a target, or raise UserError where it is not among the chosen ones."""
        if name not in Targets.model_fields:
            known = ", ".join(Targets.model_fields)
            raise UserError(f"target.{name}: no such target, expected one of {known}")
        target: Host | Ax630c | Ax650n | None = getattr(self, name)
        if target is None:
            raise UserError(f"target.{name}: not chosen; run with -S 'target=[{name}]'")
        return target
