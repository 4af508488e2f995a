"""Hours of audio through `kws listen --from-file --fast`: does its memory grow, does it hear every window?

Run with `python -m benchmarks.soak [HOURS] [FOLDER]` after `dvc repro evaluate`; the audio is that of FOLDER,
by default `data/eval/talk`, over and over. It prints one JSON object a line.
"""

import json
import os
import re
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile

from kws.features.streaming import n_windows
from kws.recordings.audio import SUFFIXES, read_audio
from kws.runtime.kit import Kit, read_kit

HOURS = 8.0
WARM_UP_S = 10.0
"""Until everything is loaded."""


def report(name: str, value: float, unit: str, baseline: float | None = None) -> None:
    """Print a measurement; where there is a baseline, the ratio to it."""
    ratio = round(value / baseline, 4) if baseline else None
    row = {"name": name, "value": round(value, 3), "unit": unit, "baseline": baseline, "ratio": ratio}
    print(json.dumps(row), flush=True)


def write_hours(path: Path, folder: Path, hours: float, rate: int) -> int:
    """Write recordings one after another until there are enough; return the number of samples."""
    wanted = round(hours * 3600 * rate)
    sources = cycle(sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES))
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as out:
        while out.frames < wanted:
            out.write(read_audio(next(sources), rate)[: wanted - out.frames])
    return wanted


def resident_mb(pid: int) -> float:
    """Return the memory that a process holds, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(path: Path, kit: Kit, samples: int) -> None:
    """Listen to a file and report on it."""
    code = "import sys; sys.argv[0] = 'kws'; from kws.cli import app; app()"
    with TemporaryDirectory() as folder:
        saved = ["--save-events", folder]
        command = [sys.executable, "-c", code, "listen", "--from-file", path, "--fast", "--json", *saved]
        start, memory, told = time.perf_counter(), [], Path(folder) / "events.jsonl"
        with (
            told.open("w") as out,
            subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True) as process,
        ):
            while process.poll() is None:
                time.sleep(1)
                if time.perf_counter() - start > WARM_UP_S and process.poll() is None:
                    memory.append(resident_mb(process.pid))
            said = process.stderr.read()
        seconds = time.perf_counter() - start
        n_events = len(told.read_text().splitlines())
        n_saved = len(list((Path(folder) / "events").rglob("*.wav")))
    audio_s = samples / kit.front_end.sample_rate
    windows = int(re.match(r"(\d+) windows", said)[1])
    report("audio heard", audio_s / 3600, "h")
    report("time taken", seconds, "s", round(audio_s, 1))
    there = n_windows(samples, kit.front_end, kit.detector.rules.hop_ms)
    report("windows heard, of those there are", windows, "", there)
    report("events saved as audio, of those told", n_saved, "", n_events)
    report("memory after warm-up", memory[0], "MB")
    report("largest memory", max(memory), "MB")
    report("growth of memory", max(memory) - memory[0], "MB")


def main() -> None:
    """Write the audio and hear it."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else HOURS
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else "data/eval/talk")
    kit = read_kit(Path("models/kws.onnx"), Path("models/detector.json"))
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "long.flac"
        samples = write_hours(path, folder, hours, kit.front_end.sample_rate)
        soak(path, kit, samples)


if __name__ == "__main__":
    main()
