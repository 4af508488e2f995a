"""Work split into blocks, over processes or a cluster, with results in order whoever does it."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

from kws.common.errors import UserError

S = TypeVar("S")
T = TypeVar("T")

BLOCK, FAR = 32, 128
"""Items in a block, here and on a cluster, where each block costs some ms."""
WORTH_STARTING = 4
"""Blocks that a worker must have to do where it is a new interpreter, which imports all that it needs."""
AHEAD = 2
"""Blocks a worker that are done before their turn, so that memory stays flat where results go slowly."""
THREADS = Path("/proc/self/task")
_work: Callable[[range], Any]
"""What this process does, where it is a worker."""


def workers() -> int:
    """Processes to use: the environment variable KWS_WORKERS, else one a core."""
    return int(os.environ.get("KWS_WORKERS", 0)) or os.cpu_count() or 1


def cluster() -> str | None:
    """Address of the scheduler of a Dask cluster: the environment variable KWS_CLUSTER."""
    return os.environ.get("KWS_CLUSTER")


def map_blocks(
    work: Callable[[Any], T],
    n: int,
    block: int | None = None,
    *,
    read: Callable[[range], Any] | None = None,
) -> Iterator[T]:
    """Yield work(indices) for consecutive blocks of 0..n-1, in order; work(read(indices)) with `read`.

    Where KWS_CLUSTER names the scheduler of a Dask cluster its workers do the work, which must therefore
    bring along all that it needs: it is `read` that may look into files, and is done here. Raises UserError
    where the system kills a worker, or the cluster is lost.
    """
    if address := cluster():
        blocks = _blocks(n, block or FAR)
        yield from _on_cluster(address, work, map(read, blocks) if read else blocks, len(blocks))
    else:
        yield from map_here(partial(_read_and_work, work, read) if read else work, n, block or BLOCK)


def map_here(work: Callable[[range], T], n: int, block: int = BLOCK) -> Iterator[T]:
    """Yield work(indices) for consecutive blocks of 0..n-1, in order, done on this machine.

    Workers are copies of this process where that is safe, for it takes no time. Elsewhere they are new
    interpreters, and a handful of blocks is done here. Raises UserError where the system kills a worker.
    """
    blocks = _blocks(n, block)
    method, least = ("fork", 1) if _has_one_thread() else ("spawn", WORTH_STARTING)
    jobs = min(workers(), len(blocks) // least)
    if jobs < 2:
        yield from map(work, blocks)
        return
    pool, left = ProcessPoolExecutor(jobs, get_context(method), _begin, (work,)), iter(blocks)
    try:
        with _interrupts_ignored():
            results = deque(pool.submit(_do, indices) for indices in islice(left, AHEAD * jobs))
        while results:
            result = results.popleft().result()
            results.extend(pool.submit(_do, indices) for indices in islice(left, 1))
            yield result
    except BrokenProcessPool as error:
        raise UserError("a worker was killed, as when memory runs out; set KWS_WORKERS=1") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _on_cluster(address: str, work: Callable[[S], T], items: Iterable[S], total: int | None) -> Iterator[T]:
    try:
        from kws.common.cluster import on_cluster  # with Dask, which nothing else here needs
    except ModuleNotFoundError as error:
        todo = "run `uv sync --inexact --extra cluster`, or unset it"
        raise UserError(f"KWS_CLUSTER: is set, but {error.name} is not installed; {todo}") from error
    return on_cluster(address, work, items, total)


def _blocks(n: int, block: int) -> list[range]:
    return [range(start, min(start + block, n)) for start in range(0, n, block)]


def _read_and_work(work: Callable[[S], T], read: Callable[[range], S], indices: range) -> T:
    return work(read(indices))


def _has_one_thread() -> bool:
    """Return whether a copy of this process is sound: no other thread can hold a lock in it for ever."""
    return THREADS.is_dir() and len(list(THREADS.iterdir())) == 1


def _begin(work: Callable[[range], Any]) -> None:
    """Prepare a worker: it keeps what it is to do, and ends when the process that started it does."""
    global _work
    _work = work
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _do(indices: range) -> Any:
    return _work(indices)


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


def map_items(work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """Yield work(item) for each item, in order; few items wait.

    On the cluster, as `map_blocks` does, or else in threads: for work that is done outside of Python.
    """
    if address := cluster():
        yield from _on_cluster(address, work, items, None)
        return
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
