"""What tests share: the shipped recordings, the default front end, and folders of data that may be absent."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import sync_playwright
from threadpoolctl import threadpool_limits

from kws.common.types import Audio
from kws.features.logmel import FrontEnd
from kws.params.whole import Params, load_params
from kws.recordings.audio import read_audio

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "data/seeds"
REAL = ROOT.parent / "shared/data/real"
RATE = 16000

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stages do
threadpool_limits(1, "blas")  # numpy is loaded already
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the other cores belong to the other workers
settings.register_profile("kws", deadline=None)  # no test depends on how fast a machine is
settings.load_profile("kws")


FIRST = "test_pipeline", "test_readme", "test_reruns"
"""The longest files, so that no worker is left alone with one; the last finds in DVC what the first made."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, FIRST before all others."""
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def front_end(params: Params) -> FrontEnd:
    return params.features


@pytest.fixture(scope="session")
def word() -> Audio:
    """A recording of REPETIR, 0.87 s."""
    return read_audio(SEEDS / "REPETIR/000_repetir.wav", RATE)


@pytest.fixture(scope="session")
def fan() -> Audio:
    """30 s of a fan."""
    return read_audio(SEEDS / "FONDO/000_ventilador.ogg", RATE)


@pytest.fixture(scope="session")
def made_project(tmp_path_factory):
    """A project that has come as far as the calibration; not to be changed."""
    from axera import make_project

    folder = tmp_path_factory.mktemp("axera")
    make_project(folder)
    return folder


@pytest.fixture
def project(made_project, tmp_path, monkeypatch):
    """A copy of it, made the current folder, with only `standins/bin` on PATH and no board named."""
    folder = tmp_path / "project"
    shutil.copytree(made_project, folder)
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("KWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(folder / "standins/bin"))
    monkeypatch.setenv("KWS_STANDIN_STATE", str(folder / "standins/state"))
    monkeypatch.setattr("sys.argv", ["stage"])
    monkeypatch.setattr("warnings.showwarning", None)
    return folder


@pytest.fixture(scope="module")
def browser():
    """Chromium, without anything of its own that asks for the network; or the test is skipped."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine: pages are not looked at; apt-get install chromium")
    flags = [
        "no-first-run",
        "disable-gpu",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
    ]
    with sync_playwright() as driver:
        running = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", *(f"--{f}" for f in flags)]
        )
        yield running
        running.close()


def real(folder: str) -> Path:
    """Return a folder of recordings that are not part of the project, or skip the test."""
    path = REAL / folder
    if not path.is_dir():
        pytest.skip(f"{folder}: these recordings are not on this machine")
    return path


def changed(front_end: FrontEnd, **values: object) -> FrontEnd:
    return dataclasses.replace(front_end, **values)  # type: ignore[arg-type]
