"""Whatever lies in a file that somebody else may have written: its reader gives a value or one line."""

import copy
import json
import shutil
from dataclasses import asdict

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kits import LABELS, SPEC, write_models
from kws.board.inputs import logits_of, read_labels
from kws.bundle.write import write_bundle
from kws.common.errors import UserError
from kws.common.foreign import check_labels, parse_json, read_rows, typed
from kws.common.labels import wrong_name
from kws.common.terminal import plain
from kws.detector import DetectorSpec, read_spec
from kws.features.logmel import FrontEnd
from kws.runtime.backends import open_session
from kws.runtime.bundle import read_bundle, read_golden, read_manifest
from kws.runtime.inference import Classifier
from kws.runtime.kit import read_kit, read_metadata

fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**64, 10**400, 1e308, 1e-300, float("nan"), float("inf"), 64.0, "", "../x"])
    | st.floats()
    | st.text(max_size=20)
)
ANY = st.recursive(
    SCALARS, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(max_size=8), s, max_size=3)
)


def one_line(read, *args):
    """Return what a reader gives, or None where it refused in one line."""
    try:
        return read(*args)
    except UserError as error:
        assert str(error)
        assert len(str(error)) < 2000
        plain(error).encode()
        return None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, front_end):
    """An unpacked bundle."""
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder / "a.tar.gz", "float", write_models(folder / "models", front_end))
    shutil.unpack_archive(folder / "a.tar.gz", folder, filter="data")
    return folder / "kws-bundle"


def places(value, path=()):
    """All places in JSON."""
    yield path
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*path, key))


@st.composite
def spoilt(draw, value):
    """Good JSON of which one place has another value, is gone, or has a key too many."""
    value = copy.deepcopy(value)
    *outer, last = draw(st.sampled_from(list(places(value))[1:]))
    inner = value
    for key in outer:
        inner = inner[key]
    match draw(st.integers(0, 3)):
        case 0:
            del inner[last]
        case 1 if isinstance(inner, dict):
            inner[draw(st.text(max_size=8))] = draw(ANY)
        case _:
            inner[last] = draw(ANY)
    return value


BYTES = st.binary(max_size=300) | st.sampled_from([b"[" * 100_000, b"\xef\xbb\xbf{}", b"1" * 5000, b"null"])


@fuzz
@given(BYTES | spoilt(asdict(SPEC)).map(lambda v: json.dumps(v).encode()))
def test_a_detector(tmp_path, content):
    path = tmp_path / "detector.json"
    path.write_bytes(content)
    spec = one_line(read_spec, path)
    if spec is not None:
        assert not any(map(wrong_name, spec.labels))
        assert all(0 <= spec.on[keyword] <= 2 for keyword in spec.keywords)
        assert spec.rules.level_ms > 0 and spec.rules.windows(spec.rules.smooth_ms) <= 5000


@fuzz
@given(data=st.data())
def test_a_manifest_and_its_bundle(bundle, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("spoilt") / "kws-bundle"
    shutil.copytree(bundle, folder)
    told = json.loads((bundle / "manifest.json").read_text())
    content = data.draw(BYTES | spoilt(told).map(lambda v: json.dumps(v).encode()))
    (folder / "manifest.json").write_bytes(content)
    manifest = one_line(read_manifest, folder)
    kit = one_line(read_bundle, folder)
    assert kit is None or manifest is not None
    if kit is not None:
        assert {"detector.json", "golden.npy", manifest.model} <= manifest.files.keys()
        assert not any(map(wrong_name, kit.detector.labels))


@fuzz
@given(labels=BYTES | ANY.map(json.dumps), values=st.data())
def test_the_metadata_of_a_model(bundle, tmp_path, front_end, labels, values):
    model = onnx.load(bundle / "kws.onnx")
    told = values.draw(BYTES | spoilt(asdict(front_end)).map(json.dumps))
    del model.metadata_props[:]
    for key, value in (("labels", labels), ("front_end", told)):
        text = value if isinstance(value, str) else value.decode("latin-1")
        model.metadata_props.add(key=key, value=text.encode("utf-8", "replace").decode())
    onnx.save(model, tmp_path / "kws.onnx")
    found = one_line(lambda path: read_metadata(open_session(path), path), tmp_path / "kws.onnx")
    assert found is None or not any(map(wrong_name, found[0]))
    shutil.copy(bundle / "detector.json", tmp_path)
    one_line(read_kit, tmp_path / "kws.onnx", tmp_path / "detector.json")


@fuzz
@given(st.binary(max_size=200) | st.tuples(st.integers(0, 3000), st.binary(max_size=9)))
def test_a_model(bundle, tmp_path, content):
    """Foreign bytes, and a model with some bytes of its own replaced; it is not run."""
    if isinstance(content, tuple):
        at, bytes_ = content
        whole = (bundle / "kws.onnx").read_bytes()
        at = at if at < 500 else len(whole) - at  # the weights in the middle say nothing
        content = whole[:at] + bytes_ + whole[at + len(bytes_) :]
    (tmp_path / "kws.onnx").write_bytes(content)
    one_line(read_kit, tmp_path / "kws.onnx", bundle / "detector.json")


HUGE = (
    b"\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 64), }".ljust(127)
    + b"\n"
)


@fuzz
@given(
    st.binary(max_size=300)
    | st.tuples(st.integers(0, 130), st.binary(min_size=1, max_size=9))
    | st.sampled_from([HUGE, HUGE.replace(b"<f4", b"|O "), b"PK\3\4"])
)
def test_a_golden_vector(bundle, tmp_path, front_end, content):
    whole = (bundle / "golden.npy").read_bytes()
    if isinstance(content, tuple):
        at, bytes_ = content
        content = whole[:at] + bytes_ + whole[at + len(bytes_) :]
    (tmp_path / "golden.npy").write_bytes(content)
    found = one_line(read_golden, tmp_path / "golden.npy", front_end)
    assert found is None or (found.shape, found.dtype) == ((98, 64), np.float32)


CELLS = st.text(max_size=12) | st.sampled_from(
    ["0", "1", *LABELS, "../x", "-1", "9" * 30, "\x1b[31m", "\0", '"']
)


@fuzz
@given(
    st.binary(max_size=200)
    | st.lists(st.lists(CELLS, max_size=4)).map(
        lambda rows: ("index,label,file\n" + "\n".join(map(",".join, rows))).encode("utf-8", "replace")
    )
)
def test_tables(tmp_path, content):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    rows = one_line(read_labels, path, LABELS)
    assert rows is None or all(row.label in LABELS and row.index.isdecimal() for row in rows)
    for _, row in one_line(read_rows, path, ["index", "file"]) or ():
        assert isinstance(row["index"], str) and isinstance(row["file"], str)


@fuzz
@given(st.binary(max_size=40), st.integers(1, 8))
def test_an_output(content, n):
    logits = one_line(logits_of, content, n, "output.bin")
    assert logits is None or (len(logits) == n and np.isfinite(logits).all())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_mels": 64.0}, r"n_mels is 64\.0, expected a whole number"),
        ({"n_mels": True}, "n_mels is true, expected a whole number"),
        ({"n_mels": 2}, "n_mels is 2, expected 4 to 256"),
        ({"f_min": float("nan")}, "f_min is NaN, expected a number"),
        ({"window_ms": 1e308}, "window_ms is 1e.308, expected 5 to 100"),
        ({"norm": "max"}, 'norm is "max", expected cmvn or mean or none'),
        ({"sample_rate": [16000]}, "sample_rate is a list, expected a whole number"),
        ({"more": 1}, "more is not known here"),
    ],
)
def test_a_wrong_field_is_named(front_end, values, message):
    with pytest.raises(ValueError, match=message):
        typed(FrontEnd, asdict(front_end) | values)


def test_json_says_what_was_written(front_end):
    for value in (front_end, SPEC):
        assert typed(type(value), parse_json(json.dumps(asdict(value)))) == value
    assert typed(DetectorSpec, asdict(SPEC)).rules.hop_ms == 100.0
    with pytest.raises(ValueError, match=r"rules\.release is missing"):
        values = asdict(SPEC)
        del values["rules"]["release"]
        typed(DetectorSpec, values)


def test_a_kit_that_was_read_runs(bundle):
    assert isinstance(read_bundle(bundle).model, Classifier)


def test_labels_are_names_each_of_them_once():
    check_labels(["SI", "NO"])
    for labels, message in (
        (["SI", "../x"], "label '../x': a label has letters"),
        (["SI", "\x1b[2J"], r"label '\\x1b\[2J': a label has letters"),
        (["SI", "NO", "SI"], "labels holds one name twice: SI NO SI"),
    ):
        with pytest.raises(ValueError, match=message):
            check_labels(labels)
