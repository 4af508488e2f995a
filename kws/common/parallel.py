"""Work split into blocks over processes, with results in order whatever the number of workers."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from joblib import Parallel, delayed

S = TypeVar("S")
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
        with _interrupts_ignored():
            results = parallel(delayed(work)(indices) for indices in blocks)
        yield from results


def in_threads(work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """Yield work(item) for each item, in order, where the work is done outside of Python; few items wait."""
    n = workers()
    with ThreadPoolExecutor(n) as pool:
        waiting: deque[Future[T]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Start processes that inherit this: Ctrl-C is for the one that started them, and it ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
