"""The pipeline through DVC: what each kind of change costs, and the original recipe beside plain loops.

All of it runs in temporary clones of the last commit, with empty caches. `wall` are seconds, `cpu` the CPU
seconds of a stage and its workers. The baseline of a change is what it may take on two cores, and the ratio
how many times less it takes. POSIX only.

The original made 24,600 clips. Its plain rendering is one process: a loop writes a .wav a clip, a loop a .pt
of each, a loop over these trains. It takes one clip in `--plain`, and the seconds of its loops count as many
times. `--scale` divides the clips of both sides.

Usage: `python -m benchmarks.pipeline [--only changes|queue|original] [--scale 1] [--plain 10] [OVERRIDE ...]`
Overrides, such as experiment=smoke, are those of the changes and the queue. What DVC says goes to stderr.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import onnx
import soundfile
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, random_split

from benchmarks.augment import Plain
from benchmarks.features import one_file_a_clip
from kws.models import build_model
from kws.params.whole import Params, load_params

ROOT = Path(__file__).parent.parent
RATE = 16000
MAY_TAKE_S = {"first": 300, "recording": 75, "training": 40, "detector": 25, "queue": 480}
EMPTY_TIMES = 1.5
"""How many times as long as an empty pipeline nothing changed may take."""
ROUNDS, QUEUED = 5, 10
CLIPS, PER_CLASS, FONDO_MINUTES, CALIBRATED = 24_600, 3000, 60, 300
"""The original's clips: in all, of a keyword, minutes of background, and those that it calibrated with."""
PYTHON = f"""#!{sys.executable} -IS
import json, os, sys, time
start = time.time()
pid = os.posix_spawn({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]], os.environ)
_, status, used = os.wait4(pid, 0)
end = time.time()
row = {{"stage": os.environ.get("DVC_STAGE", ""), "wall": end - start, "cpu": used.ru_utime + used.ru_stime}}
row |= {{"end": end, "status": os.waitstatus_to_exitcode(status)}}
with open(os.environ["STAGE_TIMES"], "a") as file:
    file.write(json.dumps(row) + "\\n")
sys.exit(row["status"])
"""
"""Stands in for the stages' `python`, and writes down what each took."""
NO_STAGES = "stages: {}\n"


class Spent(NamedTuple):
    """Seconds of the wall and of all CPUs."""

    wall: float
    cpu: float


def report(name: str, value: float, baseline: float | None = None) -> None:
    """Print one JSON object; the ratio says how many times less it is than the baseline."""
    rounded = None if baseline is None else round(baseline, 2)
    row = {"name": name, "value": round(value, 2), "unit": "s", "baseline": rounded}
    print(json.dumps(row | {"ratio": round(baseline / value, 2) if baseline else None}), flush=True)


class Clone:
    """A clone of the project, and what its stages take."""

    def __init__(self, folder: Path) -> None:
        """Clone into a folder that is not there yet."""
        self.folder, self.log = folder, folder.with_name(f"{folder.name}.times")
        programs = folder.with_name(f"{folder.name}.bin")
        programs.mkdir()
        (programs / "python").write_text(PYTHON)
        (programs / "python").chmod(0o755)
        path = f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "STAGE_TIMES": str(self.log)}
        self.log.touch()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        for name in ("user.name", "user.email"):
            self.run("git", "config", name, "benchmark")

    def run(self, *command: str) -> Spent:
        """Run a command in the clone; CalledProcessError where it fails."""
        start = time.perf_counter()
        run = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=sys.stderr)
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        if run.returncode:
            raise subprocess.CalledProcessError(run.returncode, command)
        return Spent(time.perf_counter() - start, used.ru_utime + used.ru_stime)

    def dvc(self, *words: str) -> Spent:
        """Run DVC, and report nothing."""
        return self.run(sys.executable, "-m", "dvc", *words)

    def compose(self, overrides: list[str]) -> Params:
        """Commit params.yaml as composed from conf/."""
        self.run("kws", "compose", *overrides)
        self.commit()
        return load_params(self.folder / "params.yaml")

    def commit(self) -> None:
        """Commit what has changed, if anything."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "benchmark", "--allow-empty")

    def restore(self) -> None:
        """Take the workspace back to the last commit, outputs included."""
        self.run("git", "reset", "-q", "--hard")
        self.dvc("checkout", "-q")

    def rows(self) -> list[dict]:
        """Return the stages that have ended so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stages(self) -> dict[str, Spent]:
        """Return what the stages took since the last call; a stage of all labels is one."""
        spent: dict[str, Spent] = defaultdict(lambda: Spent(0, 0))
        for row in self.rows():
            before = spent[name := row["stage"].split(":")[-1].split("@")[0]]
            spent[name] = Spent(before.wall + row["wall"], before.cpu + row["cpu"])
        self.log.write_text("")
        return spent


@contextmanager
def cloned() -> Iterator[Clone]:
    """Yield a clone that is removed afterwards."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Clone(Path(folder) / "clone")


def settings(overrides: list[str]) -> list[str]:
    """Return overrides as options of `dvc exp run`."""
    return list(chain.from_iterable(("-S", override) for override in overrides))


def report_case(name: str, clone: Clone, run: Callable[[], Spent]) -> None:
    """Report a run and the stages it was made of."""
    clone.stages()
    spent = run()
    report(f"{name}_wall", spent.wall, MAY_TAKE_S.get(name))
    report(f"{name}_cpu", spent.cpu)
    for stage, part in clone.stages().items():
        report(f"{name}_{stage}_wall", part.wall)
        report(f"{name}_{stage}_cpu", part.cpu)


def changes(overrides: list[str]) -> None:
    """Report a first run, a run of nothing, and one of each kind of change."""
    with cloned() as clone:
        params = clone.compose(overrides)
        seeds, keyword = clone.folder / params.data.seeds, params.keywords[0]
        report_case("first", clone, lambda: clone.dvc("repro"))
        clone.commit()
        nothing(clone)

        recording = next((seeds / keyword).iterdir())
        spoken, rate = soundfile.read(recording)
        soundfile.write(recording, spoken / 2, rate)
        report_case("recording", clone, lambda: clone.dvc("repro"))
        clone.restore()

        changed = {
            "training": f"train.lr={params.train.lr * 1.1}",
            "detector": f"detector.smooth_ms={params.detector.smooth_ms + 100}",
        }
        for name, override in changed.items():
            words = settings([*overrides, override])
            report_case(name, clone, lambda words=words: clone.dvc("exp", "run", *words))
            clone.restore()

        (seeds / "BACKWARDS").mkdir()
        soundfile.write(seeds / "BACKWARDS/word.wav", spoken[::-1], rate)
        labels = f"labels=[{','.join([*params.labels, 'BACKWARDS'])}]"
        clone.commit()
        others = [override for override in overrides if not override.startswith("labels=")]
        report_case("label", clone, lambda: clone.dvc("exp", "run", *settings([*others, labels])))


def nothing(clone: Clone) -> None:
    """Report a run that has nothing to do, beside one in an empty pipeline; they alternate."""
    empty = clone.folder.with_name("empty")
    empty.mkdir()
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=empty, check=True, stdout=sys.stderr)
    (empty / "dvc.yaml").write_text(NO_STAGES)
    times: dict[Path, list[float]] = {clone.folder: [], empty: []}
    for _ in range(ROUNDS):
        for folder, seconds in times.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=folder, check=True, stdout=sys.stderr)
            seconds.append(time.perf_counter() - start)
    report("empty_pipeline_wall", min(times[empty]))
    report("nothing_wall", min(times[clone.folder]), EMPTY_TIMES * min(times[empty]))


def queue(overrides: list[str]) -> None:
    """Report queued values of train.margin, from the first command to the end of the last report."""
    with cloned() as clone:
        params = clone.compose(overrides)
        clone.dvc("repro")
        clone.commit()
        clone.stages()
        values = ",".join(f"{params.train.margin + (index + 1) / 10:g}" for index in range(QUEUED))
        start = time.time()
        clone.dvc("exp", "run", "--queue", *settings([*overrides, f"train.margin={values}"]))
        clone.dvc("queue", "start")
        ends: list[float] = []
        while len(ends) < QUEUED:
            time.sleep(0.5)
            rows = clone.rows()
            if failed := [row["stage"] for row in rows if row["status"]]:
                raise SystemExit(f"error: {failed[0]} has failed in the queue")
            ends = [row["end"] for row in rows if row["stage"].split(":")[-1] == "report"]
        report("queue_wall", max(ends) - start, MAY_TAKE_S["queue"])
        for stage, part in clone.stages().items():
            report(f"queue_{stage}_cpu", part.cpu)
        clone.dvc("queue", "stop", "--kill")


class Files(Dataset):
    """The original's cache: a .pt file a clip, in a folder a label."""

    def __init__(self, folder: Path, labels: list[str]) -> None:
        """List the files."""
        self.paths = sorted(folder.glob("*/*.pt"))
        self.labels = [labels.index(path.parent.name) for path in self.paths]

    def __len__(self) -> int:
        """Clips."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """Return float32 [1, frames, n_mels] and a label."""
        return torch.load(self.paths[index], weights_only=True)[0], self.labels[index]


def plain_clips(folder: Path, params: Params, rirs: np.ndarray, share: float) -> None:
    """Write one WAV a clip, of a share of the clips."""
    loop, cfg = Plain(params.augment, rirs), params.augment
    for label in params.labels:
        (folder / "wav" / label).mkdir(parents=True)
        background = label == params.background
        word = None if background else loop.word(label)
        n_clips = cfg.fondo_minutes * 60 if background else cfg.per_class
        for index in range(max(1, round(share * n_clips))):
            clip = loop.noise() if word is None else loop.clip(word)
            soundfile.write(folder / "wav" / label / f"{label.lower()}_{index:05d}.wav", clip, RATE)


def plain_features(folder: Path, labels: list[str]) -> None:
    """Write one .pt a clip."""
    for label in labels:
        (folder / "pt" / label).mkdir(parents=True)
        one_file_a_clip(sorted((folder / "wav" / label).iterdir()), folder / "pt" / label)


def plain_training(folder: Path, params: Params) -> nn.Module:
    """Train on 80 % of the clips, validate on 10 % after each epoch, test on 10 % at the end."""
    clips, cfg = Files(folder / "pt", params.labels), params.train
    parts = random_split(clips, [0.8, 0.1, 0.1], torch.Generator().manual_seed(params.seed))
    train, val, test = (DataLoader(part, cfg.batch_size, shuffle=part is parts[0]) for part in parts)
    torch.manual_seed(params.seed)
    shape = params.features.n_frames, params.features.n_mels
    network = build_model(params.model, *shape, len(params.labels))
    optimiser = torch.optim.Adam(network.parameters(), cfg.lr)

    def accuracy(loader: DataLoader) -> float:
        network.eval()
        with torch.no_grad():
            hits = [int((network(x).argmax(1) == y).sum()) for x, y in loader]
        return sum(hits) / len(loader.dataset)

    for _ in range(cfg.epochs):
        network.train()
        for features, labels in train:
            optimiser.zero_grad()
            loss = cross_entropy(network(features), labels)
            loss.backward()
            optimiser.step()
            loss.item()
        accuracy(val)
    print(f"plain test accuracy {accuracy(test):.3f}", file=sys.stderr)
    return network


def plain_onnx(folder: Path, network: nn.Module, params: Params) -> None:
    """Export and check the graph."""
    example = torch.zeros(1, 1, params.features.n_frames, params.features.n_mels)
    path = folder / "kws.onnx"
    torch.onnx.export(network.eval(), (example,), path, opset_version=13, dynamo=False)
    onnx.checker.check_model(onnx.load(path))


def plain_calibration(folder: Path, n: int) -> None:
    """Pack an even share of the tensors as .npy files."""
    paths = sorted((folder / "pt").glob("*/*.pt"))
    (folder / "calib").mkdir()
    with tarfile.open(folder / "calib_kws.tar", "w") as archive:
        for index, path in enumerate(paths[:: max(1, len(paths) // n)][:n]):
            out = folder / "calib" / f"input_{index:05d}.npy"
            np.save(out, torch.load(path, weights_only=True).numpy())
            archive.add(out, out.name)


PARTS = {
    "clips": ("rirs", "augment", "hard"),
    "features": ("logmel",),
    "training": ("train",),
    "export": ("onnx",),
    "calibration": ("calib",),
}
"""What the original's scripts did, and the stages that do it."""


def original(scale: float, plain: float) -> None:
    """Report experiment=seed up to the calibration archive, and the baseline of each part in plain loops."""
    size = {
        "augment.per_class": round(PER_CLASS / scale),
        "augment.fondo_minutes": FONDO_MINUTES / scale,
        "calib.samples": min(CALIBRATED, round(CLIPS / scale / 2)),
    }
    overrides = [f"{name}={value}" for name, value in size.items()]
    with cloned() as clone, TemporaryDirectory() as folder:
        params = clone.compose(["experiment=seed", *overrides])
        spent = clone.dvc("repro", "onnx", "calib")
        stages = clone.stages()
        rirs = np.load(clone.folder / "data/rirs/rirs.npy", allow_pickle=False)
        seconds = dict(plain_parts(Path(folder), params, rirs, plain))
    parts = {part: sum(stages[name].wall for name in names) for part, names in PARTS.items()}
    for part, taken in parts.items():
        report(f"original_{part}_wall", taken, seconds[part])
    report("original_rest_wall", spent.wall - sum(parts.values()))
    report("original_whole_wall", spent.wall, sum(seconds.values()))


def plain_parts(folder: Path, params: Params, rirs: np.ndarray, plain: float) -> Iterator[tuple[str, float]]:
    """Yield what the original's scripts did, one after the other, and its seconds for all clips."""
    network: list[nn.Module] = []
    steps: dict[str, tuple[float, Callable[[], object]]] = {
        "clips": (plain, lambda: plain_clips(folder, params, rirs, 1 / plain)),
        "features": (plain, lambda: plain_features(folder, params.labels)),
        "training": (plain, lambda: network.append(plain_training(folder, params))),
        "export": (1, lambda: plain_onnx(folder, network[0], params)),
        "calibration": (1, lambda: plain_calibration(folder, params.calib.samples)),
    }
    for part, (times, step) in steps.items():
        start = time.perf_counter()
        step()
        yield part, times * (time.perf_counter() - start)


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=["changes", "queue", "original"])
    parser.add_argument("--scale", type=float, default=1, help="divides the original's 24,600 clips")
    parser.add_argument("--plain", type=float, default=10, help="plain loops take one clip in so many")
    parser.add_argument("overrides", nargs="*", help="of the parameters, such as experiment=smoke")
    args = parser.parse_args()
    if subprocess.check_output(["git", "status", "--porcelain"], cwd=ROOT):
        print("warning: what is not committed is not measured", file=sys.stderr)
    if args.only in (None, "original"):
        original(args.scale, args.plain)
    if args.only in (None, "changes"):
        changes(args.overrides)
    if args.only in (None, "queue"):
        queue(args.overrides)


if __name__ == "__main__":
    main()
