"""Work on a Dask cluster: what `parallel` does in processes of this machine, done by workers anywhere.

Loaded only where KWS_CLUSTER names a scheduler, for Dask belongs to the extra `cluster`. All that is worked
on is sent: workers need this code and its libraries, and no file of this machine.
"""

import hashlib
import logging
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import count, islice, takewhile
from pathlib import Path
from platform import python_version
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

import cloudpickle
import dask
from distributed import Client, Future, KilledWorker, get_worker, wait
from distributed.comm.core import CommClosedError
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from kws.common.errors import UserError

S = TypeVar("S")
T = TypeVar("T")

CONNECT_S = 10.0
IDLE_S = 300.0
"""How long a cluster may be without any worker: what starts them may first have to wait for machines."""
LOOK_S = 1.0
"""How often workers are counted."""
AHEAD, LEAST = 4, 64
"""Blocks a worker that are done before their turn, and at least in all: a cluster grows where work waits."""
TOGETHER = 8
"""Results that are fetched at once."""
DASK = ("cloudpickle", "dask", "distributed", "kws", "msgpack", "tornado")
"""Packages that the scheduler, too, must have in the same version."""
DECIDING = ("numpy", "onnxruntime", "pyroomacoustics", "python-stretch", "scipy", "soundfile", "soxr")
"""Packages whose version may decide a bit of a result."""
_one = Lock()


def on_cluster(
    address: str, work: Callable[[S], T], items: Iterable[S], total: int | None = None
) -> Iterator[T]:
    """Yield work(item) for each item, in order, done by the workers of the scheduler at `address`.

    `work` travels once to each worker, also to those that come later; few items are under way at a time. What
    a worker was doing when it died is done by another. Raises UserError where there is no scheduler, where
    the cluster is lost or its workers have other code or libraries.
    """
    left, numbers, name = iter(items), count(), f"kws-{uuid4().hex}"
    waiting: deque[Future[T]] = deque()
    with _connected(address) as client, tqdm(total=total, unit=" blocks", leave=False, disable=None) as bar:
        known = client.submit(cloudpickle.loads, cloudpickle.dumps(work), key=f"{name}-work")
        workers = _Workers(client)
        while True:
            most = max(LEAST, AHEAD * workers.count())
            if len(waiting) <= most / 2 and (new := list(islice(left, most - len(waiting)))):  # many at once
                keys = [(name, number) for number in islice(numbers, len(new))]
                waiting += client.map(_do, new, work=known, versions=_versions(), key=keys, pure=False)
                bar.set_postfix(workers=workers.count(), refresh=False)
            if not waiting:
                return
            _wait(waiting[0], workers)
            done = list(takewhile(lambda future: future.status == "finished", islice(waiting, TOGETHER)))
            for result in client.gather(done or [waiting[0]]):  # one that is not finished has failed
                waiting.popleft()
                bar.update()
                yield result


class _Workers:
    """How many workers there are, and since when there is none."""

    def __init__(self, client: Client) -> None:
        self._client, self._n, self._looked, self._some = client, 0, -LOOK_S, time.monotonic()

    def count(self) -> int:
        """Return their number; raise UserError where there has been none for long."""
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._n, self._looked = len(self._client.nthreads()), now
            self._some = now if self._n else self._some
        if now - self._some > IDLE_S:
            raise UserError(
                f"KWS_CLUSTER: no worker for {IDLE_S:g} s; start `dask worker` on some machines, run it again"
            )
        return self._n


def _wait(future: "Future[Any]", workers: _Workers) -> None:
    while not future.done():
        workers.count()
        try:
            wait(future, timeout=LOOK_S)
        except TimeoutError:
            continue


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Yield a client whose troubles are one line; Dask's own log, which would say them at length, is off."""
    for logger in filter(lambda name: name.startswith("distributed"), logging.root.manager.loggerDict):
        logging.getLogger(logger).setLevel(logging.CRITICAL + 1)
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})  # for `work`, sent once
    again = "see that its scheduler runs, and run it again"
    try:
        with warnings.catch_warnings(action="ignore"):  # of versions: `_check` says it in a line
            client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"KWS_CLUSTER: {address} cannot be reached ({reason}); {again}") from error
    try:
        _check(client)
        yield client
    except (CancelledError, CommClosedError) as error:
        raise UserError(f"KWS_CLUSTER: the cluster at {address} was lost; {again}") from error
    except KilledWorker as error:
        raise UserError(
            "KWS_CLUSTER: several workers died of the same block, as when memory runs out; give them more"
        ) from error
    finally:
        client.close(timeout=1)


def _check(client: Client) -> None:
    """Raise UserError where scheduler or workers have other packages than this process."""
    found = client.get_versions(packages=list(DASK))
    for who, theirs in [("the scheduler", found["scheduler"]), *found["workers"].items()]:
        _compare(f"at {who}" if who in found["workers"] else who, _only(found["client"]), _only(theirs))
    if max(client.nthreads().values(), default=1) > 1:
        warnings.warn(
            "KWS_CLUSTER: workers have several threads and use one; start as many with --nthreads 1",
            stacklevel=2,
        )


def _only(found: Any) -> dict[str, str]:
    return {name: found["packages"].get(name) or "" for name in ("python", *DASK)}


def _compare(who: str, expected: dict[str, str], found: dict[str, str]) -> None:
    for name, wanted in expected.items():
        if (other := found.get(name)) != wanted:
            raise UserError(
                f"KWS_CLUSTER: {who} has {name} {other or 'not at all'}, expected {wanted};"
                " start all of the cluster in this version of the project (docs/scale.md)"
            )


def _do(item: S, work: Callable[[S], T], versions: dict[str, str]) -> T:
    """Work on an item in a worker, alone and with one thread, as it is done without a cluster."""
    _compare(f"the worker at {get_worker().address}", versions, _versions())
    with _one, _libraries(len(sys.modules)).limit(limits=1):
        return work(item)


@lru_cache(1)
def _libraries(modules: int) -> ThreadpoolController:
    """Look which libraries have threads, again where modules have been loaded since: a look takes some ms."""
    return ThreadpoolController()


@cache
def _versions() -> dict[str, str]:
    """Return what decides the bytes of a result: this code, Python and libraries."""
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return {"python": python_version(), "code": digest.hexdigest()[:12]} | {
        name: _version(name) for name in DECIDING
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
