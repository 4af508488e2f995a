"""The run that goes on with the words that params.yaml has."""

import shutil

import pytest

from conftest import ROOT
from kws.params.experiments import run_with

SHIPPED = ["ACOPLAR", "CANCELAR", "CONTINUAR", "FONDO", "LEVANTADO", "PRINCIPAL", "REPETIR", "SALIR"]


@pytest.fixture
def conf(tmp_path):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/experiment/my.yaml").write_text("labels: [LUZ, MÚSICA, FONDO]\nbackground: FONDO\n")
    (tmp_path / "conf/experiment/broken.yaml").write_text("labels: [LUZ\n")
    return tmp_path / "conf"


@pytest.mark.parametrize(
    ("labels", "command"),
    [
        (SHIPPED, "dvc exp run -S data.eval=my/eval"),
        (["LUZ", "MÚSICA", "FONDO"], "dvc exp run -S experiment=my -S data.eval=my/eval"),
        (
            ["LUZ", "FONDO"],
            "dvc exp run -S experiment=NAME -S data.eval=my/eval  # NAME is what `kws new` makes",
        ),
    ],
)
def test_it_keeps_the_words(conf, labels, command):
    assert run_with(conf, labels, ["data.eval=my/eval"]).startswith(command)


def test_a_path_with_spaces_is_quoted(conf):
    assert run_with(conf, SHIPPED, ["data.eval=mis palabras/eval"]) == (
        "dvc exp run -S 'data.eval=mis palabras/eval'"
    )


def test_without_conf_nothing_is_composed(tmp_path):
    assert run_with(tmp_path / "conf", ["LUZ"], ["data.eval=my/eval"]) == "dvc exp run -S data.eval=my/eval"
