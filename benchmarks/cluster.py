"""A Dask cluster: what it costs beside local processes, and how many workers one stage keeps busy.

`python -m benchmarks.cluster [--clips N] [--workers N …]`. All of the cluster runs on this machine, scheduler
and workers being processes of their own. Clips are made by two local processes and by two workers, with the
same bytes. Then workers wait WAIT_S a block in place of computing, and answer with a block of clips: a ratio
of less than the number of workers says that the stage, or here the machine that all share, is too slow.
"""

import stages  # isort: skip  # first, for its environment: local workers are then copies of this process

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from distributed.deploy.subprocess import SubprocessCluster

from kws.augment.clips import make_clips
from kws.augment.recipe import Recipe
from kws.augment.rooms import simulate
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.common.files import sha256
from kws.common.parallel import BLOCK, map_blocks
from kws.common.types import Pcm
from kws.params.whole import load_params

ROOT = Path(__file__).parent.parent
SEEDS, RATE, LABEL = ROOT / "data/seeds", 16000, "REPETIR"
WAIT_S, SECONDS, AT_ONCE = 0.05, 10, 2


def report(name: str, value: float, unit: str, baseline: float | None = None) -> None:
    """Print one JSON object."""
    row = {"name": name, "value": round(value, 2), "unit": unit, "baseline": baseline and round(baseline, 2)}
    print(json.dumps(row | {"ratio": baseline and round(value / baseline, 3)}), flush=True)


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    """Have a cluster of so many workers, all there."""
    with SubprocessCluster(
        n_workers=workers,
        threads_per_worker=1,
        scheduler_kwargs={"dashboard": False},
        worker_kwargs={"memory_limit": "0"},
    ) as made:
        made.wait_for_workers(workers)
        os.environ["KWS_CLUSTER"] = made.scheduler_address
        yield
        del os.environ["KWS_CLUSTER"]


def made(recipe: Recipe) -> tuple[float, str]:
    """Return seconds and SHA-256 of the clips of a recipe."""
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        make_clips(Path(folder) / LABEL, recipe)
        return time.perf_counter() - start, sha256(Path(folder) / LABEL / "clips.npy")


def peak() -> float:
    """Return the megabytes that this process, which is the stage, has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def waiting(block: Pcm, indices: range) -> Pcm:
    """Wait, and return a block of clips."""
    time.sleep(WAIT_S)
    return block


def rate(workers: int) -> float:
    """Return blocks a second of so many workers that wait, once all have their first."""
    n = round(SECONDS / WAIT_S) * workers
    blocks = map_blocks(partial(waiting, np.zeros((BLOCK, RATE), np.int16)), n, 1)
    for _ in range(AT_ONCE * workers):
        next(blocks)
    start = time.perf_counter()
    left = sum(1 for _ in blocks)
    return left / (time.perf_counter() - start)


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32, 64])
    asked = parser.parse_args()
    assert stages, "imported for its environment"
    os.environ["MALLOC_TRIM_THRESHOLD_"] = "268435456"  # of workers, as docs/scale.md advises
    os.environ["KWS_WORKERS"] = f"{AT_ONCE}"
    augment = load_params(ROOT / "params.yaml").augment
    rirs = np.stack([simulate(augment.rooms, index, 1, RATE) for index in range(16)])
    words = {LABEL: read_words(LABEL, SEEDS, ROOT / "data/none", RATE, 1.0)}
    sources = Sources(words, read_bank(SEEDS / "FONDO", RATE), empty_bank(), rirs)
    few, many = (
        Recipe(LABEL, LABEL, n, {"keyword": 1}, 1, augment, RATE, RATE, sources)
        for n in (asked.clips // 10, asked.clips)
    )
    if many.n_clips:
        local_s, local = made(many)
        report("clips_by_local_processes", many.n_clips / local_s, "clips/s")
        with cluster(AT_ONCE):
            made(few)
            before = peak()
            cluster_s, same = made(many)
            after = peak()
        if same != local:
            sys.exit("error: the cluster made other clips than local processes")
        report("clips_by_a_cluster", many.n_clips / cluster_s, "clips/s", many.n_clips / local_s)
        report("memory_of_the_stage_with_ten_times_the_clips", after, "MB", before)
    one = None
    for n in asked.workers:
        with cluster(n):
            found = rate(n)
        one = one or found
        report(f"waiting_workers_{n}", found, "blocks/s", one)


if __name__ == "__main__":
    main()
