"""What an axmodel says of itself: two real ones, for both chips, and what is left of them when spoilt."""

import base64
from importlib.metadata import files

import onnx
import pytest
from typer.testing import CliRunner

from kws.cli import cli
from kws.common.errors import UserError
from kws.targets.axmodel import read_axmodel, too_new, wrong_chip

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


def test_a_byte_flipped_in_the_metadata_is_one_line_or_shows_in_what_it_says(real, tmp_path):
    """Bits that no reader of this project looks at may go unseen; those that it reads may not."""
    source = real["silero_vad_ax630c"]
    before = read_axmodel(source)
    (prop,) = (p.value for p in onnx.load(source).metadata_props if p.key == "extra_data")
    content, refused = base64.b64decode(prop), 0
    for at in range(len(content)):
        for mask in (0x01, 0x10, 0x80):
            flipped = content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]
            path = spoilt(source, tmp_path, extra_data=base64.b64encode(flipped).decode())
            try:
                read_axmodel(path)
            except UserError as error:
                assert str(error).startswith(f"{path} has metadata that cannot be right (")
                assert "\n" not in str(error)
                refused += 1
    assert refused > len(content), "more than a third of all flips"
    family = content[:-1] + b"\0"
    path = spoilt(source, tmp_path, extra_data=base64.b64encode(family).decode())
    assert wrong_chip(read_axmodel(path), before.hardware), "a flip to another chip is that chip's file"


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("no base64!", "extra_data is no base64"),
        (base64.b64encode(b"\x28\x07").decode(), "chip family 7, known are 0 and 1"),
        (base64.b64encode(b"\x28\x01\x22\x02\x18\x02").decode(), "NPU mode 2 of AX620E"),
        (base64.b64encode(b"\x0a\x7f").decode(), "cut short"),
        (base64.b64encode(b"\x0a\x06\x0a\x04dat\0").decode(), "names other inputs or outputs"),
        (base64.b64encode(b"\xff" * 20).decode(), "a number that is too long"),
    ],
)
def test_metadata_that_cannot_be_is_one_line(real, tmp_path, extra, says):
    with pytest.raises(UserError, match=says):
        read_axmodel(spoilt(real["silero_vad_ax650"], tmp_path, extra_data=extra))


def test_a_model_without_metadata_is_of_no_known_chip(real, tmp_path):
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
