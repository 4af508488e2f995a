"""params.yaml is what conf/ composes to, and wrong values are one line that names the key."""

import pytest

from conftest import ROOT
from kws.checkpoint import load_checkpoint
from kws.cli import app
from kws.compose import compose
from kws.errors import UserError
from kws.models import build_model
from kws.params import load_params
from kws.training.transfer import start_from


def composed(tmp_path, *overrides):
    compose(ROOT / "conf", tmp_path / "params.yaml", list(overrides))
    return load_params(tmp_path / "params.yaml")


def test_params_yaml_is_the_composition_of_conf(tmp_path):
    composed(tmp_path)
    assert (tmp_path / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "conf/experiment").glob("*.yaml")))
def test_every_experiment_composes(tmp_path, name):
    composed(tmp_path, f"experiment={name}")


@pytest.mark.parametrize(
    "option", sorted(f"{p.parent.name}={p.stem}" for p in (ROOT / "conf").glob("*/*.yaml"))
)
def test_every_group_option_composes(tmp_path, option):
    group, name = option.split("=")
    composed(tmp_path, f"{group}=[{name}]" if group == "target" else option)


def test_the_seed_experiment_is_the_original_recipe(tmp_path):
    params = composed(tmp_path, "experiment=seed")
    augment, train = params.augment, params.train
    assert (augment.per_class, augment.fondo_minutes, augment.speech_share) == (3000, 60, 0)
    assert (augment.p_shift, augment.max_shift_ms) == (0.8, 100)
    assert (augment.p_stretch, augment.stretch_low, augment.stretch_high) == (0.5, 0.9, 1.1)
    assert (augment.p_pitch, augment.pitch_semitones) == (0.5, 1)
    assert (augment.p_noise, augment.snr_list, augment.p_reverb) == (0.9, [20, 10, 5, 0], 0.3)
    assert (train.epochs, train.lr, train.schedule) == (20, 1e-3, "constant")
    assert params.model == composed(tmp_path, "model=crnn").model
    assert params.model.pool == "last"
    assert params.features.norm == "cmvn"


def test_crnn_mean_is_the_original_network_with_the_mean_over_time(tmp_path):
    mean, original = (composed(tmp_path, f"model={name}").model for name in ("crnn_mean", "crnn"))
    assert mean == original.model_copy(update={"pool": "mean"})


def test_the_default_network_starts_from_the_shipped_encoder(tmp_path):
    params = composed(tmp_path)
    network = build_model(params.model, params.features.n_frames, params.features.n_mels, len(params.labels))
    start_from(network, load_checkpoint(ROOT / "data/encoder/encoder.pt"), params.features)


@pytest.mark.parametrize("name", ["time_mask", "freq_mask", "mixup_alpha"])
def test_what_changes_a_clip_each_time_is_refused_where_it_is_heard_once(tmp_path, name):
    with pytest.raises(UserError, match=f"train.{name} changes clips .* model=encoder hears them once"):
        composed(tmp_path, f"train.{name}=2")
    composed(tmp_path, "model=tcresnet", f"train.{name}=2")


def test_each_network_has_its_own_parameters(tmp_path):
    model = composed(tmp_path, "model=bcresnet", "model.tau=1.5", "model.blocks=[2,2,4,4]").model
    assert (model.name, model.tau, model.blocks, model.stride) == ("bcresnet", 1.5, [2, 2, 4, 4], (4, 4))


def test_values_are_typed(tmp_path):
    params = composed(tmp_path, "train.lr=3e-4", "labels=[SI,NO,FONDO]")
    assert params.train.lr == 3e-4
    assert params.keywords == ["SI", "NO"]
    assert params.features.n_frames == 98


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("augment.p_noise=-0.1", r"augment\.p_noise: .*greater than or equal to 0, got -0\.1"),
        ("augment.stretch_low=3", r"augment\.stretch_low: .*less than or equal to 1, got 3"),
        ("augment.rooms.rt60_s=[0.6,0.1]", r"augment\.rooms\.rt60_s: range \[0\.6, 0\.1\] runs downwards"),
        ("train.lr=fast", r"train\.lr: .*valid number, got 'fast'"),
        ("train.epochs=1.5", r"train\.epochs: .*valid integer, got 1\.5"),
        ("+train.momentum=0.9", r"train\.momentum: unknown key"),
        ("+features.colour=red", r"features\.colour: unknown key"),
        ("features.n_mels=2", r"features: n_mels is 2, expected 4 to 256"),
        ("labels=[SI,SI,FONDO]", r"labels holds one name twice: SI SI FONDO"),
        ("labels=[SI,NO]", r"background is FONDO, expected one of labels: SI NO"),
        ("labels=[../SI,FONDO]", r"labels\.0: .*match pattern"),
        ("momentum=1", r"Could not override 'momentum'"),
        ("model=transformer", r"Could not find 'model/transformer'.*crnn"),
        ("model=null", r"must be a string or a list"),
        ("model.name=rnn", r"conf/: model\.name: input should be one of 'crnn', 'dscnn', .*, got 'rnn'$"),
        ("~model.name", r"conf/: model\.name: field required$"),
        ("model=dscnn +model.hidden=3", r"conf/: model\.hidden: unknown key; check its spelling"),
        ("model=dscnn model.stride=[4]", r"model\.stride\.1: field required"),
        ("model=tcresnet model.kernel=4", r"model\.kernel: input should be odd, got 4"),
        ("model=tcresnet model.channels=[16,0]", r"model\.channels\.1: .*greater than or equal to 1, got 0"),
        ("model=bcresnet model.tau=0", r"model\.tau: .*greater than or equal to 0\.5, got 0"),
    ],
)
def test_wrong_values_are_one_line_and_write_nothing(tmp_path, override, says):
    with pytest.raises(UserError, match=says) as error:
        composed(tmp_path, *override.split())
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_broken_file_says_what_to_do(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(UserError, match="missing; write it with `kws compose`"):
        load_params(path)
    path.write_text("labels: [")
    with pytest.raises(UserError, match=r"not YAML.*run `kws compose`"):
        load_params(path)


def test_the_command_rewrites_params_and_refuses_bad_values(tmp_path, monkeypatch, capsys):
    (tmp_path / "conf").symlink_to(ROOT / "conf", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["kws", "compose"])
    with pytest.raises(SystemExit) as exit_:
        app()
    assert exit_.value.code == 0
    assert (tmp_path / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    monkeypatch.setattr("sys.argv", ["kws", "compose", "train.lr=7"])
    with pytest.raises(SystemExit) as exit_:
        app()
    assert exit_.value.code == "error: conf/: train.lr: input should be less than or equal to 1, got 7"
