"""`kws new` makes a folder of recordings an experiment, which later runs name; nothing is written in vain."""

import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from conftest import ROOT, SEEDS
from kws.cli import app, cli
from kws.collect.new import experiment_name
from kws.params.compose import compose

SHIPPED = ["digits", "seed", "smoke"]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project in git, in which lies a folder `my` that git does not know."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for path in (tmp_path / "conf/experiment").iterdir():
        if path.stem not in SHIPPED:  # whoever runs the tests has words of their own
            path.unlink()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/encoder").symlink_to(ROOT / "data/encoder")
    git("init", "-q")
    git("add", "conf", "params.yaml")
    copy("SALIR", "my/seeds/ON")
    copy("REPETIR", "my/seeds/MÚSICA")
    copy("FONDO", "my/seeds/FONDO")
    return tmp_path


def git(*words: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


def copy(seed: str, folder: str) -> None:
    shutil.copytree(SEEDS / seed, folder)


def new(*words: str, folder: str = "my") -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["new", folder, *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def fails(monkeypatch, capsys, *words: str) -> str:
    """What `kws` says where it ends in an error: its one line, and what it printed before."""
    monkeypatch.setattr("sys.argv", ["kws", *words])
    with pytest.raises(SystemExit) as caught:
        app()
    assert caught.value.code
    assert "\n" not in str(caught.value.code)
    return f"{capsys.readouterr().out}{caught.value.code}"


def values() -> dict:
    return YAML(typ="safe").load(Path("params.yaml").read_text(encoding="utf-8"))


def test_the_experiment_holds_labels_and_folders_and_composes(project):
    said = new()
    assert "conf/experiment/my.yaml: 2 keywords, background FONDO" in said
    assert "next:  dvc exp run -S experiment=my\n" in said
    compose(Path("conf"), Path("params.yaml"), ["experiment=my", "train.lr=3e-4"])
    params = values()
    assert params["labels"] == ["FONDO", "MÚSICA", "ON"], "words, though YAML reads ON as true"
    assert (params["background"], params["train"]["lr"]) == ("FONDO", 3e-4)
    assert params["data"]["seeds"] == "my/seeds"
    assert params["data"]["negatives"] == "data/negatives", "what the folder lacks stays as shipped"


def test_parts_beside_the_words_are_named_too(project):
    shutil.move("my/seeds/ON", "my/ON")
    shutil.move("my/seeds/MÚSICA", "my/MÚSICA")
    shutil.move("my/seeds/FONDO", "my/FONDO")
    Path("my/seeds").rmdir()
    copy("SALIR", "my/voices/maria/ON")
    copy("FONDO", "my/streams/office")
    new()
    compose(Path("conf"), Path("params.yaml"), ["experiment=my"])
    params = values()
    assert params["labels"] == ["FONDO", "MÚSICA", "ON"]
    assert {key: params["data"][key] for key in ("seeds", "voices", "streams", "eval")} == {
        "seeds": "my",
        "voices": "my/voices",
        "streams": "my/streams",
        "eval": "data/eval",
    }


def test_another_background_is_named(project, monkeypatch, capsys):
    Path("my/seeds/FONDO").rename("my/seeds/RUIDO")
    assert "--background MÚSICA" in fails(monkeypatch, capsys, "new", "my")
    assert "--background LUZ: no such folder in my/seeds" in fails(
        monkeypatch, capsys, "new", "my", "--background", "LUZ"
    )
    assert not Path("conf/experiment/my.yaml").exists()
    new("--background", "RUIDO")
    compose(Path("conf"), Path("params.yaml"), ["experiment=my"])
    assert values()["background"] == "RUIDO"


def test_a_folder_elsewhere_is_named_by_its_whole_path(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere") / "mis órdenes"
    shutil.move("my", other)
    assert "next:  dvc exp run -S experiment=mis_ordenes\n" in new(folder=str(other))
    compose(Path("conf"), Path("params.yaml"), ["experiment=mis_ordenes"])
    assert values()["data"]["seeds"] == (other / "seeds").as_posix()


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my", "my"), ("mis órdenes", "mis_ordenes"), ("字", "my"), ("a=b,c", "a_b_c")],
)
def test_an_experiment_has_a_name_that_nobody_must_quote(tmp_path, folder, name):
    assert experiment_name(tmp_path / folder) == name


def test_it_is_written_again_but_never_over_what_somebody_else_wrote(project, monkeypatch, capsys):
    new()
    copy("CANCELAR", "my/seeds/LUZ")
    new()
    assert '"LUZ"' in Path("conf/experiment/my.yaml").read_text(encoding="utf-8")
    smoke = Path("conf/experiment/smoke.yaml").read_bytes()
    assert "smoke.yaml: was not written by `kws new`" in fails(
        monkeypatch, capsys, "new", "my", "--name", "smoke"
    )
    assert Path("conf/experiment/smoke.yaml").read_bytes() == smoke


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda: Path("my/seeds/ON/000_salir.wav").write_bytes(b"RIFF"), "000_salir.wav: cannot be read"),
        (lambda: shutil.rmtree("my/seeds/FONDO"), "holds no folder FONDO"),
        (
            lambda: Path("my/seeds/ON").rename("my/seeds/buenos dias"),
            "mv 'my/seeds/buenos dias' my/seeds",
        ),
        (
            lambda: Path("my/seeds/MÚSICA").rename(Path("my/seeds") / unicodedata.normalize("NFD", "MÚSICA")),
            "Unicode NFD",
        ),
        (lambda: shutil.rmtree("my"), "my: no such folder"),
        (lambda: (shutil.rmtree("my"), Path("my").touch()), "my: is a file"),
        (lambda: [shutil.rmtree(f"my/seeds/{word}") for word in ("ON", "MÚSICA")], "my/seeds: holds no word"),
    ],
    ids=["broken", "no background", "name", "accents", "no folder", "a file", "no words"],
)
def test_nothing_is_written_where_training_would_fail(project, monkeypatch, capsys, spoil, says):
    spoil()
    assert says in fails(monkeypatch, capsys, "new", "my")
    assert not Path("conf/experiment/my.yaml").exists()


@pytest.mark.parametrize("name", ["a b", "mis_órdenes", "../my", "a=b"])
def test_a_name_that_hydra_would_read_otherwise_is_refused(project, monkeypatch, capsys, name):
    assert f"--name {name}: expected letters" in fails(monkeypatch, capsys, "new", "my", "--name", name)
    Path("my").rename("my ${oc.env:HOME}")
    assert "rename the folder" in fails(monkeypatch, capsys, "new", "my ${oc.env:HOME}")
    assert [path.stem for path in sorted(Path("conf/experiment").iterdir())] == SHIPPED


def test_the_recordings_of_one_word_are_no_experiment(project, monkeypatch, capsys):
    said = fails(monkeypatch, capsys, "new", "my/seeds/ON")
    assert said.endswith("ON: holds no folders; put the recordings of a word into my/seeds/ON/<WORD>/")


def test_nothing_is_written_where_it_would_not_compose(project, monkeypatch, capsys):
    config = Path("conf/config.yaml")
    config.write_text(config.read_text(encoding="utf-8").replace("seed: 1", "seed: one"), encoding="utf-8")
    assert "seed: input should be a valid integer" in fails(monkeypatch, capsys, "new", "my")
    assert not Path("conf/experiment/my.yaml").exists()


def test_it_says_what_git_does_not_know_until_git_knows_it(project):
    assert "git add my conf/experiment/my.yaml" in new()
    assert "--copy-paths my -S experiment=my" in new()
    git("add", "my", "conf/experiment/my.yaml")
    assert "git add" not in new()
    git("commit", "-qm", "words")
    assert "git add" not in new()
    Path("my/seeds/ON/002.wav").write_bytes(Path("my/seeds/MÚSICA/000_repetir.wav").read_bytes()[:-2] + b"ab")
    assert "git add my" in new()
