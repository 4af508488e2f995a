"""What an axmodel says of itself: two real ones, for both chips, and what is left of them when spoilt."""

import base64
import dataclasses
import warnings
from importlib.metadata import files

import onnx
import pytest
from typer.testing import CliRunner

from kws.cli import cli
from kws.common.errors import UserError
from kws.targets.axmodel import read_axmodel, too_new, wrong_chip
from standins.axmodel import wrap

FLOAT = onnx.TensorProto.FLOAT


@pytest.fixture(scope="module")
def real():
    """The axmodels of silero-vad-axera, which is installed for its files and never imported."""
    return {f.stem: f.locate() for f in files("silero-vad-axera") if f.suffix == ".axmodel"}


@pytest.mark.parametrize(
    ("name", "hardware", "mode"),
    [("silero_vad_ax630c", "AX620E", "NPU2"), ("silero_vad_ax650", "AX650", "NPU3")],
)
def test_real_models_are_recognised(real, name, hardware, mode):
    model = read_axmodel(real[name])
    assert model.facts == {"hardware": hardware, "npu_mode": mode, "pulsar2": "7.0"}
    assert model.commit == "6b1bcdf8"
    assert model.inputs == {"data": (FLOAT, [1, 640]), "state": (FLOAT, [2, 1, 128])}
    assert model.outputs == {"output": (FLOAT, [1, 1]), "next_state": (FLOAT, [2, 1, 128])}
    assert wrong_chip(model, hardware, mode) is None
    assert f"is for {hardware} in mode {mode}, expected AX999" in wrong_chip(model, "AX999")
    assert "expected AX620E in mode NPU1" in wrong_chip(model, "AX620E", "NPU1")


def test_a_compiler_newer_than_the_engine_is_too_new(real):
    model = read_axmodel(real["silero_vad_ax630c"])
    says = too_new(model, "2.6.3sp")
    assert "is of Pulsar2 7.0, but the board's engine 2.6.3sp loads models of 4.2" in says
    assert too_new(model, "") is None
    assert too_new(model, "9.9") is None, "of an engine nobody has tried nothing is known"


def spoilt(source, tmp_path, **changes):
    model = onnx.load(source)
    props = {p.key: p.value for p in model.metadata_props} | changes
    onnx.helper.set_model_props(model, {key: value for key, value in props.items() if value is not None})
    onnx.save(model, tmp_path / "spoilt.axmodel")
    return tmp_path / "spoilt.axmodel"


def flips(source, tmp_path, places, bits):
    """Read a file with each of these bits flipped; yield where, and what was read, if it was in silence."""
    content, path = source.read_bytes(), tmp_path / "flipped.axmodel"
    for at in places:
        for bit in bits(at):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            try:
                with warnings.catch_warnings(action="error", category=UserWarning):
                    yield at, read_axmodel(path)
            except (UserError, UserWarning) as said:
                assert str(said).startswith(str(path))
                assert "\n" not in str(said)


def place(source, part):
    """The bytes of a file that a part of it takes."""
    start = source.read_bytes().index(part)
    return range(start, start + len(part))


def metadata(source):
    (prop,) = onnx.load(source).metadata_props
    return prop.value.encode()


def test_no_bit_of_the_metadata_flips_unseen(real, tmp_path):
    source = real["silero_vad_ax630c"]
    assert list(flips(source, tmp_path, place(source, metadata(source)), lambda at: range(8))) == []


@pytest.mark.parametrize("name", ["silero_vad_ax630c", "silero_vad_ax650"])
def test_a_bit_flipped_around_the_code_is_seen_but_for_one_without_a_meaning(real, tmp_path, name):
    """A version and a commit that could be are read as they stand; an empty weight may be of any name."""
    source = real[name]
    model, length = onnx.load(source), source.stat().st_size
    code = [place(source, w.raw_data) for w in model.graph.initializer if w.raw_data]
    around = [at for at in range(length) if not any(at in part for part in code)]
    before, about = read_axmodel(source), place(source, model.doc_string.encode())
    silent = list(flips(source, tmp_path, around, lambda at: [at % 8]))
    assert all(
        dataclasses.replace(after, pulsar2=before.pulsar2, commit=before.commit) == before
        for _, after in silent
    )
    assert len(around) > 1000
    assert len([at for at, _ in silent if at not in about]) <= 1


def test_metadata_without_the_family_are_those_of_the_other_chip(real, tmp_path):
    """Nothing is written for family 0, so a file cut there is that chip's, and is refused as such."""
    source = real["silero_vad_ax630c"]
    content = base64.b64decode(metadata(source))
    model = read_axmodel(spoilt(source, tmp_path, extra_data=base64.b64encode(content[:-2]).decode()))
    assert wrong_chip(model, "AX620E") == "is for AX650 in mode NPU2, expected AX620E"


def test_contradictions_in_files_of_another_pulsar2_are_warned_about(real, tmp_path):
    """Their layout was not seen, so a build that took an hour is not thrown away for them."""
    path = tmp_path / "other.axmodel"
    for version, refused in (("7.0", True), ("8.1", False)):
        model = onnx.load(real["silero_vad_ax650"])
        model.doc_string = model.doc_string.replace("7.0", version)
        (info,) = (a for a in model.graph.node[0].attribute if a.name == "npu_graph_info")
        info.s = info.s.replace(b'"batch": 1', b'"batch": 2')
        onnx.save(model, path)
        says = "extra_data and npu_graph_info contradict each other"
        with pytest.raises(UserError, match=says) if refused else pytest.warns(UserWarning, match=says):
            read_axmodel(path)


@pytest.mark.parametrize("version", ["4.2", "7.0"])
def test_the_stand_in_writes_what_the_real_one_does(tmp_path, version):
    values = [onnx.helper.make_tensor_value_info(name, FLOAT, [1, 2]) for name in ("a", "b")]
    network = onnx.helper.make_model(onnx.helper.make_graph([], "g", values[:1], values[1:]))
    onnx.save(wrap(network, "AX620E", "NPU1", version), tmp_path / "x.axmodel")
    with warnings.catch_warnings(action="error"):
        model = read_axmodel(tmp_path / "x.axmodel")
    assert model.facts == {"hardware": "AX620E", "npu_mode": "NPU1", "pulsar2": version}


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("no base64!", "extra_data is no base64"),
        (base64.b64encode(b"\x28\x07").decode(), "chip family 7, known are 0 and 1"),
        (base64.b64encode(b"\x28\x01\x22\x02\x18\x02").decode(), "NPU mode 2 of AX620E"),
        (base64.b64encode(b"\x0a\x7f").decode(), "cut short"),
        (base64.b64encode(b"\x0a\x06\x0a\x04dat\0").decode(), "names other inputs or outputs"),
        (base64.b64encode(b"\xff" * 20).decode(), "cut short, or no protobuf of this layout"),
    ],
)
def test_metadata_that_cannot_be_is_one_line(real, tmp_path, extra, says):
    with pytest.raises(UserError, match=says):
        read_axmodel(spoilt(real["silero_vad_ax650"], tmp_path, extra_data=extra))


def test_a_model_without_metadata_is_of_no_known_chip(real, tmp_path):
    with pytest.warns(UserWarning, match="it has other metadata than extra_data"):
        model = read_axmodel(spoilt(real["silero_vad_ax650"], tmp_path, extra_data=None))
    assert (model.hardware, model.npu_mode, model.pulsar2) == (None, None, "7.0")
    assert wrong_chip(model, "AX620E") is None


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_file_cut_short_is_one_line(real, tmp_path, share):
    content = real["silero_vad_ax630c"].read_bytes()
    path = tmp_path / "cut.axmodel"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"cut\.axmodel (is missing or empty|cannot be read)"):
        read_axmodel(path)


def test_an_onnx_is_no_axmodel(tmp_path):
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["a"], ["b"])], "g", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "kws.axmodel")
    with pytest.raises(UserError, match="is no compiled model: it has no `neu mode` node"):
        read_axmodel(tmp_path / "kws.axmodel")


def test_the_doctor_says_what_a_model_is_for(real, tmp_path):
    said = CliRunner().invoke(cli, ["doctor", str(real["silero_vad_ax630c"])])
    assert said.exit_code == 0
    assert "for AX620 or AX630 (AX620E), NPU2, by Pulsar2 7.0" in said.output
    assert "data            float [1, 640]" in said.output
    assert "2.6.3sp         does not load it (known up to 4.2)" in said.output
    (tmp_path / "x.axmodel").write_bytes(b"junk")
    said = CliRunner().invoke(cli, ["doctor", str(tmp_path / "x.axmodel")])
    assert isinstance(said.exception, UserError)
