"""params.yaml is what conf/ composes to, and wrong values are one line that names the key."""

import copy
import dataclasses
import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from conftest import ROOT
from kws.cli import app
from kws.common.errors import UserError
from kws.models import build_model
from kws.params.compose import compose
from kws.params.cost import cost
from kws.params.sections import ENCODER_HEARS
from kws.params.whole import Params, known_keys, load_params, load_target, parse_params
from kws.training.checkpoint import load_checkpoint
from kws.training.transfer import FREE, start_from


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


def test_the_schema_knows_what_the_shipped_encoder_hears():
    hears = dataclasses.asdict(load_checkpoint(ROOT / "data/encoder/encoder.pt").front_end)
    assert {name: value for name, value in hears.items() if name not in FREE} == ENCODER_HEARS


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
        ("+train.momentum=0.9", r"train\.momentum: unknown key; conf/ holds all"),
        ("+features.colour=red", r"features\.colour: unknown key"),
        ("trian.lr=1e-3", r"^trian\.lr: unknown key; did you mean train\.lr\?$"),
        ("+trian.lr=1e-3", r"conf/: trian: unknown key; did you mean train\?$"),
        ("train.batchsize=32", r"^train\.batchsize: unknown key; did you mean train\.batch_size\?$"),
        ("target.ax630c.precision=u16", r"^target\.ax630c\.precision: its network or target is not chosen"),
        ("model.kernel=3", r"^model\.kernel: its network or target is not chosen"),
        ("features.n_mels=2", r"features: n_mels is 2, expected 4 to 256"),
        ("labels=[SI,SI,FONDO]", r"labels holds one name twice: SI SI FONDO"),
        ("labels=[FONDO]", r"labels: expected 2 or more, got 1$"),
        ("augment.snr_list=[]", r"augment\.snr_list: expected 1 or more, got 0$"),
        ("labels=[SI,NO]", r"background is FONDO, expected one of labels: SI NO"),
        (
            "labels=[../SI,FONDO]",
            r"labels\.0: a label has letters, digits, _ and -.*; write SI, got '\.\./SI'",
        ),
        ("labels=[Luz,LUZ,FONDO]", r"labels Luz and LUZ are one folder on Windows and macOS"),
        ("labels=[SI_2,SI,FONDO]", r"a recording called SI_2 is a take of SI; rename the label SI_2"),
        ("labels=[TRUE,FONDO]", r"labels\.0: YAML reads true here, and ON, .*; put quotes around it"),
        ("labels=[1,FONDO]", r"labels\.0: YAML reads 1 here, .*; put quotes around it"),
        ("labels=[LUZ,MÚSICA,FONDO]", r"""accents need .*: 'labels=\[LUZ,"MÚSICA",FONDO\]'$"""),
        ("momentum=1", r"^momentum: unknown key"),
        ("train.lr=${nothing}", r"Interpolation key 'nothing' not found"),
        ("seed=18446744073709551616", r"seed: .*less than 4294967296"),
        ("features.n_mels=200", r"features\.n_mels is 200, but data/encoder/encoder\.pt was made for 64"),
        ("features=tiny model=crnn", r"crnn needs 4 frames"),
        ("augment.snr_range=[nan,nan]", r"augment\.snr_range\.0: .*finite number, got nan"),
        ("stream.rooms.rt60_s=[nan,1]", r"stream\.rooms\.rt60_s\.0: .*finite number"),
        ("augment.max_shift_ms=inf", r"augment\.max_shift_ms: .*finite number, got inf"),
        ("augment.per_class=1000000000", r"augment\.per_class: .*less than or equal to 1000000"),
        ("augment.rooms.count=1000000000", r"augment\.rooms\.count: .*less than or equal to 10000"),
        ("augment.rooms.rt60_s=[5,5]", r"augment\.rooms: .* 1013 reflections in a row, expected 210"),
        ("stream.snr_db=[10,10.0]", r"stream\.snr_db: holds one condition twice: 10 10"),
        ("calib.samples=19000", r"calib\.samples is 19000, but there are only 18020 training clips"),
        ("labels=[SI,FONDO] augment.hard_kinds=[joined]", r"hard_kinds holds only `joined`"),
        ("model=transformer", r"Could not find 'model/transformer'.*crnn"),
        ("model=null", r"must be a string or a list"),
        ("model.name=rnn", r"conf/: model\.name: input should be one of 'crnn', 'dscnn', .*, got 'rnn'$"),
        ("~model.name", r"conf/: model\.name: field required$"),
        ("model=dscnn +model.hidden=3", r"conf/: model\.hidden: its network or target is not chosen"),
        ("model=dscnn model.stride=[4]", r"model\.stride\.1: field required"),
        ("model=tcresnet model.kernel=4", r"model\.kernel: input should be odd, got 4"),
        ("model=tcresnet model.channels=[16,0]", r"model\.channels\.1: .*greater than or equal to 1, got 0"),
        ("model=bcresnet model.tau=0", r"model\.tau: .*greater than or equal to 0\.5, got 0"),
    ],
)
def test_wrong_values_are_one_line_and_write_nothing(tmp_path, override, says):
    tiny = "features.clip_s=0.2 features.hop_ms=50 features.window_ms=100 features.n_fft=2048"
    with pytest.raises(UserError, match=says) as error:
        composed(tmp_path, *override.replace("features=tiny", tiny).split())
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_words_with_spaces_and_words_that_yaml_takes_for_others(tmp_path):
    with pytest.raises(UserError, match=r"labels\.0: .*; write BUENOS_DIAS, got 'BUENOS DIAS'$"):
        composed(tmp_path, 'labels=["BUENOS DIAS",FONDO]')
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    text = (tmp_path / "conf/config.yaml").read_text()
    start, end = text.index("labels: ["), text.index("\nbackground")
    for written, right in (("[ON, OFF, FONDO]", False), ("['ON', 'OFF', FONDO]", True)):
        (tmp_path / "conf/config.yaml").write_text(f"{text[:start]}labels: {written}{text[end:]}")
        if right:
            compose(tmp_path / "conf", tmp_path / "params.yaml", [])
            assert load_params(tmp_path / "params.yaml").labels == ["ON", "OFF", "FONDO"]
        else:
            with pytest.raises(
                UserError, match=r"labels\.0: YAML reads true here.*labels\.1: YAML reads false"
            ):
                compose(tmp_path / "conf", tmp_path / "params.yaml", [])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"lr: [1, 2\nepochs: 3", r"^conf/: not YAML \(.*flow sequence.*train/default\.yaml.*line 1"),
        (b"lr: *x", r"^conf/: not YAML \(.*undefined alias 'x'.*train/default\.yaml.*line 1"),
        (b'lr: "\x1b[31m', r"^conf/: not YAML \(.*character #x001b.*train/default\.yaml"),
        (b"lr: \xff", r"^conf/train/default\.yaml: not UTF-8 \(.*byte 0xff"),
        (b"- 1", r"^conf/: train: input should be an object"),
        (b"defaults: [none]", r"Could not load 'train/none'\.$"),
    ],
)
def test_a_broken_file_in_conf_is_named_in_one_line(tmp_path, monkeypatch, content, says):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/train/default.yaml").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says) as error:
        compose(Path("conf"), tmp_path / "params.yaml", [])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "params.yaml").exists()


def with_labels(tmp_path, written):
    """Copy conf/ with other labels, as they stand in the file."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    text = (tmp_path / "conf/config.yaml").read_text()
    start, end = text.index("labels: ["), text.index("\nbackground")
    (tmp_path / "conf/config.yaml").write_text(f"{text[:start]}labels: {written}{text[end:]}")
    return tmp_path / "conf"


TRAPS = [
    "ON",
    "off",
    "Yes",
    "NO",
    "null",
    "~",
    "7",
    "007",
    "0x1F",
    "1_000",
    "1.5",
    "1e3",
    "12:30",
    ".inf",
    ".nan",
]


@pytest.mark.parametrize("word", TRAPS)
def test_a_word_that_yaml_takes_for_something_else_wants_quotes(tmp_path, word):
    with pytest.raises(UserError, match=r"^conf/: labels\.0: YAML reads .* here, .*; put quotes around it$"):
        compose(with_labels(tmp_path, f"[{word}, FONDO]"), tmp_path / "params.yaml", [])


@pytest.mark.parametrize("word", ["y", "N", "2024-01-01", "'ON'", '"1e3"'])
def test_a_word_that_yaml_leaves_alone_is_a_label(tmp_path, word):
    params = compose(with_labels(tmp_path, f"[{word}, FONDO]"), tmp_path / "params.yaml", [])
    assert params.labels[0] == load_params(tmp_path / "params.yaml").labels[0] == word.strip("'\"")


@pytest.mark.parametrize("written", ["[LUZ, FONDO", "[@a, FONDO]", "[=, FONDO]", "[LUZ: FONDO"])
def test_what_is_no_yaml_is_one_line_that_says_where(tmp_path, written):
    with pytest.raises(UserError, match=r"config\.yaml") as caught:
        compose(with_labels(tmp_path, written), tmp_path / "params.yaml", [])
    assert str(caught.value).isprintable()
    assert not (tmp_path / "params.yaml").exists()


def test_accents_are_composed_letters(tmp_path):
    assert composed(tmp_path, 'labels=[LUZ,"MÚSICA",FONDO]').labels == ["LUZ", "MÚSICA", "FONDO"]
    apart = unicodedata.normalize("NFD", "MÚSICA")
    with pytest.raises(UserError, match=r"labels\.1: its accents stand apart .* write MÚSICA \(NFC\)"):
        composed(tmp_path, f'labels=[LUZ,"{apart}",FONDO]')


def test_what_is_large_and_possible_is_told(tmp_path):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    default = cost(load_params(tmp_path / "params.yaml"))
    assert (default.clips, round(default.gigabytes, 1), round(default.minutes)) == (21_200, 1.9, 8)
    large = cost(composed(tmp_path, "augment.per_class=1000000"))
    assert large.clips == 7_007_200
    told = large.told_if_large(tmp_path)
    assert told.startswith("7,007,200 clips take about 624 GB of disk with DVC's cache")
    assert told.endswith("a first run about 39 h on two cores")
    rooms = cost(composed(tmp_path, "augment.rooms.count=10000", "augment.rooms.rt60_s=[0.6,0.9]"))
    assert rooms.minutes > 500


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**9, 2**64, -(10**400), 10**400]),
    st.floats(),
    st.text(),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3)
)
DEFAULT = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_bytes())
CHOICES = {
    "model": [
        {"name": "crnn", "channels": [16, 32], "hidden": 64, "pool": "last"},
        {"name": "dscnn", "channels": 64, "blocks": 4, "kernel": [10, 16], "stride": [4, 8]},
        {"name": "tcresnet", "channels": [16, 24], "kernel": 9},
        {"name": "bcresnet", "tau": 2, "blocks": [1, 1, 1, 1], "stride": [4, 4]},
        DEFAULT["model"],
    ],
    "target": [DEFAULT["target"]]
    + [
        {name: YAML(typ="safe", pure=True).load((ROOT / f"conf/target/{name}.yaml").read_bytes())}
        for name in ("ax630c", "ax650n")
    ],
}


@st.composite
def spoiled(draw):
    """params.yaml with anything at all in one or two of its places, or one place too many."""
    values = copy.deepcopy(DEFAULT) | {
        name: copy.deepcopy(draw(st.sampled_from(of))) for name, of in CHOICES.items()
    }
    for _ in range(draw(st.integers(1, 2))):
        at = values
        while True:
            key = draw(st.sampled_from(sorted(at)) if isinstance(at, dict) else st.integers(0, len(at) - 1))
            if not isinstance(at[key], dict | list) or not at[key] or draw(st.integers(0, 4)) == 0:
                break
            at = at[key]
        at[key] = draw(VALUES)
        if isinstance(at, dict) and draw(st.integers(0, 9)) == 0:
            at[draw(st.text())] = draw(VALUES)
    return values


@given(spoiled())
def test_any_value_anywhere_is_parameters_or_one_line(values):
    try:
        assert isinstance(parse_params(values, "params.yaml"), Params)
    except UserError as error:
        assert str(error).startswith("params.yaml: ")
        assert str(error).isprintable()
        assert len(str(error)) < 4000


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_params(path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        "a: &a [*a]\n",
        "? [1, 2]\n: 3\n",
        "2020-01-02: 3\n",
        "seed: 2020-13-45\n",
        "seed: !!python/object:os.system x\n",
        "seed: 1\nseed: 2\n",
        "[" * 5000,
        "seed: " + "9" * 5000,
        "- 1\n",
        "",
    ],
)
def test_what_yaml_can_hold_and_params_cannot_is_one_line(tmp_path, content):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(UserError, match=r"^params\.yaml: ") as error:
        load_params(tmp_path / "params.yaml")
    assert str(error.value).isprintable()


def test_a_mistake_in_a_targets_defaults_is_one_line(tmp_path):
    (tmp_path / "target").mkdir()
    text = (ROOT / "conf/target/ax630c.yaml").read_text()
    (tmp_path / "target/ax630c.yaml").write_text(text.replace("npu_mode: NPU1", "npu_mode: NPU9"))
    with pytest.raises(UserError, match=r"target/ax630c\.yaml: npu_mode: input should be 'NPU1' or 'NPU2'"):
        load_target(tmp_path, "ax630c")


def test_every_number_has_an_upper_bound():
    """A value that nobody can mean is told, rather than tried: this looks at each number of the schema."""
    schema = Params.model_json_schema()

    def numbers(node, place, bounded=False):
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        if place.startswith("features.") or place.split(".")[-1] in PAIRS:
            return  # the range is checked in code, and a test above or tests/features/test_logmel.py holds it
        if node.get("type") in ("integer", "number") and not {"maximum", "exclusiveMaximum"} & set(node):
            yield place
        for option in [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("prefixItems", [])]:
            yield from numbers(option, place)
        if "items" in node:
            yield from numbers(node["items"], place)
            if "maxItems" not in node:
                yield place
        for name, inner in node.get("properties", {}).items():
            yield from numbers(inner, f"{place}.{name}".lstrip("."))

    assert set(numbers(schema, "")) <= MASKS


PAIRS = {
    *("hard_cut", "snr_range", "noise_slope_db", "low_hz", "high_hz"),
    *("level_dbfs", "floor_dbfs", "size_m", "rt60_s", "gap_s"),
}
MASKS = {"train.time_mask", "train.freq_mask"}
"""Their bound is a clip."""


@pytest.mark.parametrize("pair", sorted(PAIRS))
@pytest.mark.parametrize("value", [[-1e9, 1e9], [1e9, 1e9], [float("nan")] * 2, [0, float("inf")]])
def test_no_pair_leaves_its_range(pair, value):
    keys = [key.split(".") for key in known_keys() if key.split(".")[-1] == pair]
    assert keys
    for *sections, name in keys:
        values = copy.deepcopy(DEFAULT)
        at = values
        for section in sections:
            at = at[section]
        at[name] = [value] * 3 if name == "size_m" else value
        with pytest.raises(UserError, match=pair):
            parse_params(values, "params.yaml")


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


def test_a_file_that_repeats_itself_by_reference_is_refused_before_it_grows(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    (tmp_path / "params.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match="repeats parts by reference"):
        load_params(tmp_path / "params.yaml")
