"""What an encoder hears of people in streams, once, on disk: what a detector can be chosen by in minutes.

`Bench(ENCODER, CACHE)` has, for each set of words by people and for each half of their speakers, the streams
of that half (each speaker says all words, clean and at 10 dB, in rooms), hours of talk, and heads for several
sources: one person who recorded each keyword once, from whose recordings clips are made and prototypes fitted
as in the pipeline. Streams do not depend on who recorded what, so they are heard once.
"""

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from benchmarks.people import HALVES, RATE
from docs.people import WAKE, Clips, label_of, lay_out, of_half
from kws.augment.placement import fade_edges
from kws.augment.recipe import Recipe
from kws.augment.render import render_block
from kws.augment.rooms import simulate
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.augment.splits import split_of
from kws.common.parallel import map_items
from kws.common.types import Audio, Directions
from kws.evaluation.build import Voice, build_stream, place_name, read_backgrounds
from kws.evaluation.halves import encoder_of
from kws.evaluation.streams import Spoken
from kws.features.logmel import features
from kws.features.streaming import FeatureStream
from kws.models import build_model
from kws.models.encoder import Encoder
from kws.params.whole import Params, load_params
from kws.recordings.audio import read_audio, to_float, to_int16
from kws.recordings.word import find_word
from kws.runtime.inference import Classifier
from kws.targets.export import to_onnx
from kws.training.dataset import split_dataset
from kws.training.prototypes import fit_prototypes
from kws.training.transfer import for_features, load_encoder, start_from

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared/data"
SETS = {"arabic": "people/bench", "picovoice": "people/bench", "recordings": "real/fsdd/recordings"}
"""The last one is FSDD."""
SOURCES = {"choose": (4, 5), "report": (0, 3)}
"""Who records, of each half: the first two in whose recordings of wake words all words are found."""
SNR_DB = [None, 10.0]
TAKES, CROWD = 3, 20
"""Takes of a word that a speaker says; speakers who said too little for a stream of their own share one."""
PER_CLASS, MINUTES, PAD_S, BLOCK = 160, 40, 0.1, 64


@dataclass(frozen=True)
class Sounding:
    """A stream as an encoder hears it: directions every HOP_MS."""

    name: str
    group: str
    condition: str
    seconds: float
    spoken: list[Spoken]
    """under the label of each word, keyword or not"""
    directions: Directions


class Kept:
    """What takes long, as arrays in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        path = self.folder / f"{name}.npz"
        if not path.exists():
            made = make()
            part = path.with_suffix(".part.npz")
            np.savez(part, **made)
            part.rename(path)
            print(path, flush=True)
        return dict(np.load(path, allow_pickle=False))


class Bench:
    """All that is heard with one encoder."""

    def __init__(self, encoder: Path, folder: Path, voices: Path | None = None, others: int = 0) -> None:
        """Who else says the keywords, to train on: `voices`, laid out as data.voices, or so many `others`."""
        self.params = params_of()
        self.voices, self.others = voices, others
        self.encoder = for_features(load_encoder(encoder), self.params.features)
        self.sounds = Kept(folder / "sounds")
        self.heard = Kept(folder / hashlib.sha256(encoder.read_bytes()).hexdigest()[:12])

    @cached_property
    def ear(self) -> Classifier:
        def make() -> dict[str, Any]:
            return {"graph": np.frombuffer(encoder_of(to_onnx(self.encoder)).SerializeToString(), np.uint8)}

        return Classifier(self.heard.get("encoder", make)["graph"].tobytes())

    def rir(self, index: int) -> Audio:
        config = self.params.stream
        made = self.sounds.get(
            f"rir_{index}", lambda: {"rir": simulate(config.rooms, index, config.seed, RATE, "stream")}
        )
        return made["rir"]

    @cached_property
    def rirs(self) -> Audio:
        rooms, seed = self.params.augment.rooms, self.params.seed
        return self.sounds.get(
            "rirs", lambda: {"rirs": np.stack([simulate(rooms, i, seed, RATE) for i in range(rooms.count)])}
        )["rirs"]

    @cached_property
    def backgrounds(self) -> dict[str, Audio]:
        return read_backgrounds(ROOT / "data/eval", RATE)

    def talk(self) -> list[Sounding]:
        """Three hours of sentences without keywords by formant voices, every other file at 10 dB."""
        files = sorted((DATA / "talk_long").glob("*.ogg"))
        return [
            self.stream(path.stem, i % 2, lambda path=path: Voice(talk=[read_audio(path, RATE)]))
            for i, path in enumerate(files)
        ]

    def streams(self, name: str, half: str) -> list[Sounding]:
        """Return what the speakers of a half say, each in both conditions."""
        voices = cache(lambda: voices_of(clips_of(name, half)))
        names = self.sounds.get(f"{name}_{half}_voices", lambda: {"names": np.array(sorted(voices()))})[
            "names"
        ]
        return [
            self.stream(f"{name}_{voice}", condition, lambda voice=str(voice): voices()[voice])
            for voice in names
            for condition in range(len(SNR_DB))
        ]

    def stream(self, name: str, condition: int, voice: Callable[[], Voice]) -> Sounding:
        config = self.params.stream
        place = place_name(SNR_DB[condition])

        def sound() -> dict[str, Any]:
            audio, spoken = build_stream(
                name, voice(), condition, self.backgrounds, self.rir, config, RATE, "FONDO"
            )
            return {
                "audio": to_int16(audio),
                "labels": np.array([s.label for s in spoken], str),
                "times": np.array([(s.start, s.end) for s in spoken]).reshape(-1, 2),
            }

        key = f"{name}_{place}"
        made = cache(lambda: self.sounds.get(key, sound))
        heard = self.heard.get(
            key,
            lambda: {
                "directions": self.hear_stream(to_float(made()["audio"])),
                "seconds": len(made()["audio"]) / RATE,
                "labels": made()["labels"],
                "times": made()["times"],
            },
        )
        spoken = [
            Spoken(str(label), float(start), float(end))
            for label, (start, end) in zip(heard["labels"], heard["times"], strict=True)
        ]
        return Sounding(key, name, place, float(heard["seconds"]), spoken, heard["directions"])

    def hear_stream(self, audio: Audio) -> Directions:
        front_end, ear = self.params.features, self.ear
        stream = FeatureStream(front_end, self.params.detector.hop_ms)
        blocks = (stream.push(audio[i : i + 10 * RATE]) for i in range(0, len(audio), 10 * RATE))
        return np.concatenate(list(map_items(ear.logits, blocks)))

    def hear_clips(self, clips: NDArray[np.int16]) -> Directions:
        front_end, ear = self.params.features, self.ear

        def block(start: int) -> Directions:
            part = clips[start : start + BLOCK]
            return ear.logits(np.stack([features(to_float(clip), front_end)[None] for clip in part]))

        return np.concatenate(list(map_items(block, range(0, len(clips), BLOCK))))

    def clips(
        self, key: str, label: str, n: int, kinds: dict[Any, float], sources: Callable[[], Sources]
    ) -> Directions:
        def make() -> dict[str, Any]:
            params = self.params
            recipe = Recipe(
                label,
                label,
                n,
                kinds,
                params.seed,
                params.augment,
                RATE,
                params.features.clip_samples,
                sources(),
            )
            return {"clips": render_block(recipe, range(n))[1]}

        return self.heard.get(
            key, lambda: {"directions": self.hear_clips(self.sounds.get(key, make)["clips"])}
        )["directions"]

    def background(self) -> Directions:
        cfg = self.params.augment
        n = cfg.n_background(1.0) - cfg.n_hard(1.0)

        def sources() -> Sources:
            return Sources(
                {},
                read_bank(ROOT / "data/seeds/FONDO", RATE),
                read_bank(ROOT / "data/negatives", RATE),
                self.rirs,
            )

        kinds = {"speech": cfg.speech_share, "background": 1 - cfg.speech_share - cfg.hard_share}
        return self.clips("background", "FONDO", n, kinds, sources)

    def source(self, name: str, half: str, number: int) -> dict[str, Directions]:
        """Return the clips of each keyword made of what one person recorded, `_hard` negatives too."""
        key, labels = self.key(name, half, number), keywords_of(name)

        @cache
        def words() -> dict[str, Any]:
            with TemporaryDirectory() as folder:
                clips = clips_of(name, half)
                lay_out(clips, [w for w in clips if label_of(w) in labels], number, Path(folder))
                for word, by in clips.items():
                    for who in self.people(by, number)[1:] if label_of(word) in labels else ():
                        place = Path(folder) / "others" / who
                        place.mkdir(parents=True, exist_ok=True)
                        soundfile.write(place / f"{label_of(word)}.wav", np.clip(by[who][0], -1, 1), RATE)
                voices = self.voices or Path(folder) / "others"
                return {
                    label: read_words(label, Path(folder) / "seeds", voices, RATE, 1.0) for label in labels
                }

        def sources(only: list[str]) -> Sources:
            with warnings.catch_warnings(action="ignore"):
                return Sources(
                    {label: words()[label] for label in only},
                    read_bank(ROOT / "data/seeds/FONDO", RATE),
                    empty_bank(),
                    self.rirs,
                )

        found = {
            label: self.clips(
                f"{key}_{label}", label, PER_CLASS, {"keyword": 1}, lambda label=label: sources([label])
            )
            for label in labels
        }
        cfg = self.params.augment
        kinds = dict.fromkeys(cfg.hard_kinds, 1)
        return found | {
            "_hard": self.clips(f"{key}__hard", "_hard", cfg.n_hard(1.0), kinds, lambda: sources(labels))
        }

    def key(self, name: str, half: str, number: int) -> str:
        """Return what the clips of a source are called, by who else says the keywords."""
        files = sorted(self.voices.glob("*/*")) if self.voices else []
        told = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]
        return f"{name}_{half}{number}" + f"_{told}" * bool(files) + f"_and{self.others}" * bool(self.others)

    def people(self, by: dict[str, Any], number: int) -> list[str]:
        """Return who says a word to train on, of all who said it: the source, then other people."""
        return [list(by)[(number + i) % len(by)] for i in range(1 + self.others)]

    def speakers(self, name: str, half: str, number: int) -> set[str]:
        """Return the streams of those who recorded; crowds are too many to leave out for one of them."""
        clips, labels = clips_of(name, half), keywords_of(name)
        return {
            f"{name}_{who}"
            for word, by in clips.items()
            if label_of(word) in labels
            for who in self.people(by, number)
        }

    def head(
        self, name: str, half: str, number: int
    ) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
        """Return keywords and fitted prototypes: of keywords and of the background."""
        shards = self.source(name, half, number)
        labels = [*keywords_of(name), "FONDO"]

        def make() -> dict[str, Any]:
            torch.manual_seed(self.params.seed)
            params = self.params
            network = build_model(params.model, params.features.n_frames, params.features.n_mels, len(labels))
            assert isinstance(network, Encoder)
            start_from(network, self.encoder, params.features)
            all_ = [*(shards[label] for label in labels[:-1]), self.background(), shards["_hard"]]
            of = [*range(len(labels)), len(labels) - 1]
            splits = [[split_of(i, len(s), params.augment.val_share) for i in range(len(s))] for s in all_]
            train, val = (split_dataset(all_, of, splits, split) for split in ("train", "val"))
            fit = fit_prototypes(network, train, val, params.train, params.seed, len(labels) - 1)
            network.load_state_dict(network.state_dict() | fit.state)
            return {
                "keywords": network.head.keywords.detach().numpy(),
                "background": network.head.background.detach().numpy(),
            }

        made = self.heard.get(f"{self.key(name, half, number)}_head", make)
        return labels[:-1], made["keywords"], made["background"]


def params_of() -> Params:
    params = load_params(ROOT / "params.yaml")
    augment = params.augment.model_copy(update={"per_class": PER_CLASS, "fondo_minutes": MINUTES})
    stream = params.stream.model_copy(update={"snr_db": SNR_DB})
    return params.model_copy(update={"augment": augment, "stream": stream})


@cache
def clips_of(name: str, half: str) -> Clips:
    return of_half(DATA / SETS[name], name, half)


@cache
def keywords_of(name: str) -> list[str]:
    words = sorted(clips_of(name, HALVES[0]))
    return [label_of(word) for word in (words if name in WAKE else words[::2])]


def voices_of(clips: Clips) -> dict[str, Voice]:
    """Return what each speaker says; those of a set of wake words in crowds."""
    speakers = sorted({speaker for by in clips.values() for speaker in by})
    few = len(speakers) > 5 * CROWD
    voices: defaultdict[str, Voice] = defaultdict(Voice)
    for word, by in clips.items():
        for speaker, takes in by.items():
            at = speakers.index(speaker)
            voice = f"crowd{at // CROWD:02}" if few else speaker
            for audio in takes[:TAKES]:
                audio = np.pad(audio, round(PAD_S * RATE))
                word_ = fade_edges(audio[find_word(audio, RATE, 1.0)])
                voices[voice].keywords.append((label_of(word), word_ / np.sqrt(np.mean(np.square(word_)))))
    return dict(voices)
