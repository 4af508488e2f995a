"""What rounds of review are worth: `python -m docs.review_rounds BENCH TALK OUT`.

BENCH holds `bench.csv` (`set,file,start,end,word,speaker,take,...`) and its files, TALK long recordings of
talk. A copy of the project in OUT, which must be new, learns words from one speaker. Three others, the
family, say them on three days, between pieces of talk from a radio. After each day what `kws listen` saved is
sorted as a person would who knows what was said, and the model is trained again. All models hear the same
evenings, with other takes of the family and other talk, which nobody reviews.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile

from kws.collect.review import Folders, find_clips, sort
from kws.common.seeding import rng
from kws.common.types import Audio
from kws.detector import Averages
from kws.evaluation.scoring import score_streams
from kws.evaluation.streams import Spoken, Stream
from kws.evaluation.sweep import GRID, Heard, tally, uniform
from kws.params.whole import load_params
from kws.recordings.audio import read_audio
from kws.recordings.floor import FLOOR
from kws.runtime.kit import read_detector
from kws.runtime.recorder import KINDS

RATE, WORDS, FAMILY, ROUNDS, TALK_A_DAY = 16000, 6, 3, 3, 3
EVENING_TAKE = 2
"""The takes before it are said by day."""
TIMES = 4
"""How often each take is said in a recording, between different pieces of talk."""
PAUSE_S = 0.6
RECALLS = 0.9, 0.95, 0.98
END = re.compile(r"_(\d+\.\d)s_")
"""In the name of a saved clip: when its window ended, in seconds."""
Word = tuple[str, Audio]


def between(talk: Audio, words: list[Word]) -> tuple[Audio, list[Spoken]]:
    """Return talk cut into equal pieces with a word after each, pauses around it, and where the words lie."""
    pieces, parts, spoken, at = np.array_split(talk, len(words)), list[Audio](), list[Spoken](), 0
    pause = np.zeros(round(PAUSE_S * RATE), np.float32)
    for piece, (label, word) in zip(pieces, words, strict=True):
        start = at + len(piece) + len(pause)
        spoken.append(Spoken(label, start / RATE, (start + len(word)) / RATE))
        parts += [piece, pause, word, pause]
        at = start + len(word) + len(pause)
    return np.concatenate(parts), spoken


def said_at(end: float, window_s: float, spoken: list[Spoken]) -> str | None:
    """Return which word lies in the window that ended then, or up to half a second before it began."""
    inside = [one for one in spoken if one.start < end and one.end > end - window_s - 0.5]
    return max(inside, key=lambda one: one.start).label if inside else None


def read_bench(bench: Path) -> dict[tuple[str, str, int], Audio]:
    """Return the recordings of the set `arabic` by label, speaker and take."""
    with (bench / "bench.csv").open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["set"] == "arabic"]
    files = {name: read_audio(bench / name, RATE) for name in {row["file"] for row in rows}}
    return {
        (row["word"].upper().replace(" ", "_"), row["speaker"], int(row["take"])): files[row["file"]][
            round(float(row["start"]) * RATE) : round(float(row["end"]) * RATE)
        ]
        for row in rows
    }


def record(
    path: Path, talk: list[Path], bench: dict[tuple[str, str, int], Audio], chosen: list[tuple[str, str, int]]
) -> list[Spoken]:
    """Write a recording of talk and words in an order of its own; return where the words lie."""
    order = rng(1, path.name, 0).permutation(TIMES * len(chosen))
    words = [(chosen[i % len(chosen)][0], bench[chosen[i % len(chosen)]]) for i in order]
    audio, spoken = between(np.concatenate([read_audio(file, RATE) for file in talk]), words)
    audio += FLOOR * rng(1, path.name, 1).standard_normal(len(audio), dtype=np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, RATE)
    return spoken


def run(project: Path, *command: object) -> None:
    """Run a module of Python in the project; its failure is this script's."""
    subprocess.run([sys.executable, "-m", *map(str, command)], cwd=project, check=True)


def kws(project: Path, *words: object) -> None:
    """Run `kws` in the project."""
    command = [sys.executable, "-c", "from kws.cli import app; app()", *map(str, words)]
    subprocess.run(command, cwd=project, check=True, stdout=subprocess.DEVNULL)


def measure(project: Path, evenings: list[Stream]) -> dict[str, object]:
    """Return false accepts an hour at equal recall, and both at the thresholds of the detector."""
    params, spec = load_params(project / "params.yaml"), read_detector(project / "models/detector.json")
    scored = score_streams(project / "models/kws.onnx", evenings, params.features, spec.rules.hop_ms)
    heard = [
        Heard(seconds, Averages(spec.rules, len(spec.keywords)).push(found[:, spec.columns]), evening.spoken)
        for evening, (seconds, found) in zip(evenings, scored, strict=True)
    ]
    own = np.array([[spec.on[keyword] for keyword in spec.keywords]])
    counts = tally(
        heard,
        spec.keywords,
        spec.rules,
        spec.window_s,
        np.concatenate([uniform(GRID, spec.keywords), own]),
    )
    rates, recalls = counts.fa_per_hour[:-1], counts.recall[:-1]
    found = {f"{share:.0%}": rates[recalls >= share].min(initial=np.inf).item() for share in RECALLS}
    return {
        "fa_per_hour_at_recall": {
            share: rate if np.isfinite(rate) else None for share, rate in found.items()
        },
        "recall": counts.recall[-1].item(),
        "fa_per_hour": counts.fa_per_hour[-1].item(),
        "hours": counts.hours.sum().item(),
    }


def main(bench_folder: Path, talk_folder: Path, out: Path) -> None:
    """Measure before any review and after each, and print a line of JSON for each."""
    project, home = out.resolve() / "project", out.resolve() / "home"
    subprocess.run(["git", "clone", "-q", Path(__file__).parent.parent, project], check=True)
    bench = read_bench(bench_folder)
    labels = sorted({label for label, _, _ in bench})[:WORDS]
    owner, *family = sorted({speaker for _, speaker, _ in bench})[: 1 + FAMILY]
    for label in labels:
        path = home / "seeds" / label / "001.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.pad(bench[label, owner, 0], RATE // 4), RATE)
    shutil.copytree(project / "data/seeds/FONDO", home / "seeds/FONDO")
    (home / "voices").mkdir()
    names = ",".join(f"'{label}'" for label in [*labels, "FONDO"])
    kws(project, "compose", f"labels=[{names}]", f"data.seeds={home}/seeds", f"data.voices={home}/voices")

    talk = sorted(path for path in talk_folder.iterdir() if path.suffix == ".ogg")
    said = [key for key in sorted(bench) if key[0] in labels and key[1] in family]
    by_day = [key for key in said if key[2] < EVENING_TAKE]
    by_evening = [key for key in said if key[2] == EVENING_TAKE]
    evenings = []
    for number, file in enumerate(talk[ROUNDS * TALK_A_DAY :]):
        path = home / "evenings" / f"{number}.flac"
        evenings.append(
            Stream(path, path.name, path.stem, "", False, record(path, [file], bench, by_evening))
        )

    window_s = load_params(project / "params.yaml").features.clip_s
    for round_ in range(ROUNDS + 1):
        run(project, "dvc", "repro", "evaluate")
        print(json.dumps({"round": round_} | measure(project, evenings)), flush=True)
        if round_ == ROUNDS:
            break
        day, kept = home / "days" / f"{round_}.flac", home / "kept" / str(round_)
        spoken = record(
            day, list(islice(cycle(talk), round_ * TALK_A_DAY, (round_ + 1) * TALK_A_DAY)), bench, by_day
        )
        kws(project, "listen", "--from-file", day, "--fast", "--json", "--save-events", kept)
        folders = Folders(
            "home", home / "voices", project / "data/negatives", home / "streams", measure=False
        )
        for clip in find_clips(kept) if any((kept / kind).is_dir() for kind in KINDS) else ():
            end = END.search(clip.path.name)
            label = said_at(float(end[1]), window_s, spoken) if end else None
            sort(clip, label, folders, soundfile.info(clip.path).duration)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
