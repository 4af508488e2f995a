"""A Dask cluster, started as people start one, gives what one process gives, whatever happens to it."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from conftest import RATE, ROOT, SEEDS
from kws.augment.clips import make_clips
from kws.augment.recipe import Recipe
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.common import cluster as dask_cluster
from kws.common.errors import UserError
from kws.common.parallel import map_blocks, map_items
from kws.evaluation.build import Studio, read_backgrounds, read_voices
from kws.evaluation.heard import hear_clips, hear_streams
from kws.evaluation.scoring import score_streams
from kws.evaluation.streams import Stream
from kws.evaluation.sweep import Heard, tally, uniform
from kws.features.cache import cache_features
from kws.runtime.inference import Classifier
from kws.training.hear import hear_shard

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes")


class Cluster:
    """`dask scheduler` and `dask worker`, each worker replaced by its nanny where it dies."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"} | environment
        self.processes = [self.start("scheduler", "--port", "0")]
        self.scheduler = self.processes[0]
        while not self.file.exists() or not self.file.read_text():
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, what: str, *options: str) -> subprocess.Popen:
        common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(self.file), *options]
        with (self.folder / "log.txt").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", what, *common],
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def add(self, n: int = 1, *options: str) -> "Cluster":
        self.processes += [self.start("worker", "--nthreads", "1", *options) for _ in range(n)]
        return self

    def close(self) -> None:
        for process in self.processes:
            process.kill()  # a worker ends with its nanny
            process.wait()


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a cluster, made the one that work is sent to."""
    started = []

    def _start(**environment: str) -> Cluster:
        (tmp_path / f"{len(started)}").mkdir()
        started.append(Cluster(tmp_path / f"{len(started)}", **environment))
        monkeypatch.setenv("KWS_CLUSTER", started[-1].address)
        return started[-1]

    yield _start
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def recipe(params) -> Recipe:
    """100 clips of a word in noise and in random rooms."""
    words = {"SALIR": read_words("SALIR", SEEDS, ROOT / "data/none", RATE, 1.0)}
    rirs = np.random.default_rng(0).standard_normal((4, 800)).astype(np.float32)
    sources = Sources(words, read_bank(SEEDS / "FONDO", RATE), empty_bank(), rirs)
    return Recipe("SALIR", "SALIR", 100, {"keyword": 1}, 1, params.augment, RATE, RATE, sources)


@pytest.fixture(scope="module")
def expected(recipe, tmp_path_factory) -> dict[str, bytes]:
    """The files that one process makes."""
    folder = tmp_path_factory.mktemp("expected")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KWS_WORKERS", "1")
        make_clips(folder / "clips", recipe)
    return files(folder / "clips")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def pid_of(seconds: float, index: int) -> int:
    time.sleep(seconds)
    return os.getpid()


def last_words(indices: range) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wrong(indices: range) -> None:
    raise UserError(f"block {indices.start} is wrong")


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_clips_are_those_of_one_process(start, recipe, expected, tmp_path, monkeypatch, workers):
    monkeypatch.setattr("kws.common.parallel.map_blocks.__defaults__", (7,))
    start().add(workers)
    make_clips(tmp_path / "clips", recipe)
    assert files(tmp_path / "clips") == expected


def test_a_worker_with_many_threads_gives_the_same_with_one(start, recipe, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("kws.common.parallel.map_blocks.__defaults__", (7,))
    start(OPENBLAS_NUM_THREADS="4", OMP_NUM_THREADS="4").add(1, "--nthreads", "4")
    time.sleep(5)
    with pytest.warns(UserWarning, match="several threads and use one"):
        make_clips(tmp_path / "clips", recipe)
    assert files(tmp_path / "clips") == expected


def killing(index: int, pid_file: Path, work, indices: range):
    """Work, but for the first process that comes to block `index`: it is killed there, with SIGKILL."""
    if indices.start == index and not pid_file.exists():
        pid_file.write_text(f"{os.getpid()}")
        os.kill(os.getpid(), signal.SIGKILL)
    return work(indices)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_killed_half_way_is_replaced_and_its_blocks_done_again(
    start, recipe, expected, tmp_path, monkeypatch, workers
):
    from kws.augment import clips

    killed = tmp_path / "killed"
    start().add(workers)
    monkeypatch.setattr(clips, "_block", partial(killing, 49, killed, clips._block))
    monkeypatch.setattr("kws.common.parallel.map_blocks.__defaults__", (7,))
    monkeypatch.setattr(clips, "partial", lambda work, recipe: partial(after, work, recipe))
    make_clips(tmp_path / "clips", recipe)
    assert files(tmp_path / "clips") == expected
    assert killed.exists()


def after(work, recipe: Recipe, indices: range):
    """`partial(killing, …, _block)` with the recipe put where `_block` takes it."""
    return work.func(*work.args[:2], partial(work.args[2], recipe), indices)


def test_workers_that_come_later_join_in(start, recipe, expected, tmp_path):
    cluster = start().add(1)
    blocks = map_items(partial(pid_of, 0.1), range(150))
    first = {next(blocks) for _ in range(20)}
    cluster.add(2)
    assert len(first) == 1
    assert len(set(blocks)) == 3
    make_clips(tmp_path / "clips", recipe)
    assert files(tmp_path / "clips") == expected


def test_few_blocks_are_under_way_and_the_order_is_kept(start):
    start().add(2)
    taken = []

    def items():
        for index in range(400):
            taken.append(index)
            yield index

    for done, value in enumerate(map_items(partial(pow, 3), items())):
        assert value == 3**done
        assert len(taken) - done <= dask_cluster.LEAST + dask_cluster.TOGETHER


def test_no_scheduler_is_one_line(monkeypatch):
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 1)
    for address in ("tcp://127.0.0.1:9", "nowhere://127.0.0.1", "no port"):
        monkeypatch.setenv("KWS_CLUSTER", address)
        with pytest.raises(UserError, match=r"KWS_CLUSTER: .* cannot be reached") as caught:
            list(map_items(partial(pow, 3), range(3)))
        assert "\n" not in str(caught.value)


def test_no_worker_is_one_line_after_a_while(start, monkeypatch):
    monkeypatch.setattr(dask_cluster, "IDLE_S", 2.0)
    start()
    with pytest.raises(UserError, match="no worker for 2 s; start `dask worker`"):
        list(map_items(partial(pow, 3), range(3)))


def test_a_cluster_that_is_lost_is_one_line_and_leaves_nothing(start, recipe, tmp_path, monkeypatch):
    cluster = start().add(1)
    monkeypatch.setattr("kws.common.parallel.map_blocks.__defaults__", (1,))
    from kws.augment import clips

    write = clips.write_array

    def lose(path, shape, dtype, blocks):
        def some():
            yield next(blocks)
            cluster.scheduler.kill()
            yield from blocks

        write(path, shape, dtype, some())

    monkeypatch.setattr(clips, "write_array", lose)
    with pytest.raises(UserError, match=r"the cluster at .* was lost; see that its scheduler runs") as caught:
        make_clips(tmp_path / "made/clips", recipe)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "made").iterdir()) == []
    assert not logging.getLogger("distributed.client").isEnabledFor(logging.CRITICAL)


def test_what_kills_every_worker_is_one_line(start):
    start(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1").add(2)
    with pytest.raises(UserError, match="several workers died of the same block"):
        list(map_blocks(last_words, 1, 1))


def test_what_is_wrong_with_a_block_is_told(start):
    start().add(2)
    with pytest.raises(UserError, match=r"^block 3 is wrong$"):
        list(map_blocks(partial(wrong_from, 3), 9, 1))


def wrong_from(first: int, indices: range) -> int:
    return wrong(indices) if indices.start >= first else indices.start


def test_workers_with_other_code_are_refused(start, recipe, tmp_path):
    shutil.copytree(ROOT / "kws", tmp_path / "other/kws")
    with (tmp_path / "other/kws/augment/voice.py").open("a") as file:
        file.write("\nOTHER = 1\n")
    cluster = start()
    cluster.environment["PYTHONPATH"] = str(tmp_path / "other")
    cluster.add(1)
    with pytest.raises(UserError, match=r"the worker at tcp:\S+ has code \w{12}, expected \w{12}; start"):
        make_clips(tmp_path / "made/clips", recipe)
    assert list((tmp_path / "made").iterdir()) == []


def test_a_scheduler_with_other_packages_is_refused(start, monkeypatch):
    start().add(1)
    versions = dask_cluster._only
    monkeypatch.setattr(dask_cluster, "_only", lambda of: versions(of) | {"dask": f"{id(of)}"})
    with pytest.raises(UserError, match=r"the scheduler has dask \d+, expected \d+"):
        list(map_items(partial(pow, 3), range(3)))


def test_all_that_grows_gives_the_same_bytes(start, recipe, params, tmp_path, monkeypatch):
    """Features, what is heard of clips and streams, streams, scores and counts."""
    encoder = ROOT / "models/encoder.onnx"
    if not encoder.exists():
        pytest.skip("no encoder was exported: `dvc repro encoder`")
    front_end, rules, eval_ = params.features, params.detector.rules, ROOT / "data/eval"
    config = params.stream.model_copy(update={"voices": 1, "p_reverb": 1.0})
    voices = read_voices(eval_, params.keywords, RATE, front_end.clip_s)
    studio = Studio(voices, read_backgrounds(eval_, RATE), config, RATE, params.background)
    path = ROOT / "data/eval/talk"
    streams = [Stream(one, one.name, one.name, "talk", False, []) for one in sorted(path.iterdir())[:2]]
    averages = np.random.default_rng(0).random((3000, len(params.keywords)))
    heard = [Heard(300.0, averages**power, []) for power in (0.2, 1)]
    thresholds = uniform(np.linspace(0.1, 0.9, 9), params.keywords)

    def everything(folder: Path) -> dict[str, object]:
        make_clips(folder / "clips", recipe)
        cache_features(folder / "clips/clips.npy", folder / "features.npy", front_end)
        ear = Classifier(encoder)
        hear_shard(ear, folder / "features.npy", folder / "heard.npy", front_end)
        clips = np.load(folder / "features.npy")[:, None].astype(np.float32)
        hear_clips(folder / "words.npy", ear, clips, 3)
        hear_streams(folder, ear, streams, front_end, 100, 3)
        for index, block in enumerate(map_blocks(studio.build, 2, 1)):
            np.save(folder / f"stream{index}.npy", block[0][1])
        for index, (_, scores) in enumerate(score_streams(encoder, streams, front_end, 100)):
            np.save(folder / f"scores{index}.npy", scores)
        np.save(folder / "hits.npy", tally(heard, params.keywords, rules, 1.0, thresholds).false_accepts)
        return {path.name: path.read_bytes() for path in folder.rglob("*.*")}

    monkeypatch.setattr("kws.evaluation.scoring.PIECE_S", 1.0)
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = everything(tmp_path / "here")
    start().add(2)
    assert everything(tmp_path / "there") == here
    assert len(here) == 16
    assert np.load(tmp_path / "here/hits.npy").any()


def test_nothing_of_dask_is_imported_without_a_cluster(tmp_path):
    code = (
        "import sys; from kws.common.parallel import map_blocks, map_items;"
        "import stages.augment, stages.hard, stages.hear, stages.hear_eval, stages.evaluate, stages.streams;"
        "assert list(map_items(abs, [-1])) + list(map_blocks(len, 3, 2)) == [1, 2, 1];"
        "print([name for name in sys.modules if name.partition('.')[0] in ('dask', 'distributed')])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "KWS_CLUSTER"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_cluster_without_the_extra_is_one_line(monkeypatch):
    monkeypatch.setenv("KWS_CLUSTER", "tcp://127.0.0.1:8786")
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "kws.common.cluster")
    with pytest.raises(UserError, match=r"distributed is not installed; run `uv sync .*--extra cluster`"):
        list(map_items(partial(pow, 3), range(3)))


def test_inputs_are_not_bound_to_their_files(tmp_path, params):
    """A model travels as its bytes."""
    import cloudpickle

    encoder = ROOT / "models/encoder.onnx"
    if not encoder.exists():
        pytest.skip("no encoder was exported: `dvc repro encoder`")
    shutil.copy(encoder, tmp_path / "ear.onnx")
    sent = cloudpickle.dumps(Classifier(tmp_path / "ear.onnx"))
    (tmp_path / "ear.onnx").unlink()
    features = np.zeros((1, 1, params.features.n_frames, params.features.n_mels), np.float32)
    assert np.array_equal(cloudpickle.loads(sent).logits(features), Classifier(encoder).logits(features))


def test_a_recipe_of_no_clips_needs_no_worker(start, recipe, tmp_path):
    start()
    make_clips(tmp_path / "clips", replace(recipe, n_clips=0))
    assert np.load(tmp_path / "clips/clips.npy").shape == (0, RATE)
