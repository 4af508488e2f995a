"""Work split into blocks over processes, with results in order whatever the number of workers."""

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from joblib import Parallel, delayed

T = TypeVar("T")

BLOCK = 128


def workers() -> int:
    """Processes to use: the environment variable KWS_WORKERS, else one a core."""
    return int(os.environ.get("KWS_WORKERS", 0)) or os.cpu_count() or 1


def map_blocks(work: Callable[[range], T], n: int, block: int = BLOCK) -> Iterator[T]:
    """Yield work(indices) for consecutive blocks of 0..n-1, in order.

    A handful of blocks is done in this process: starting workers would take longer.
    """
    blocks = [range(start, min(start + block, n)) for start in range(0, n, block)]
    jobs = min(workers(), len(blocks) // 4)
    if jobs < 2:
        yield from map(work, blocks)
    else:
        parallel = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
        yield from parallel(delayed(work)(indices) for indices in blocks)
