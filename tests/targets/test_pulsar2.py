"""The compile stage and the simulation, with stand-ins for Docker and Pulsar2."""

import json
import os
import shutil
import tarfile
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from axera import files, make_project, read, stage
from conftest import ROOT
from kws.board.inputs import read_inputs
from kws.common.errors import UserError
from kws.params.whole import load_params, load_target
from kws.runtime.inference import Classifier, accuracy
from kws.targets import build_log
from kws.targets.calibration import Scaling, convert_tar, write_tar
from kws.targets.pulsar2 import build_config
from kws.targets.toolchain import Toolchain, find_toolchain
from standins.install import install

AX630C = load_target(ROOT / "conf", "ax630c")
LOG_OF_A_REAL_BUILD = """\
Calibration Progress(Phase 1): 100%|####| 300/300 [00:02<00:00, 148.54it/s]
Num of Op:                    [15]
Num of Quantized Op:          [15]
FP32:                         [7]
2025-09-28 06:19:31.707 | INFO     | yamain.command.build:compile_ptq_model:1134 - group 0 QuantAxModel macs: 13,437,952
2025-09-28 06:19:32.013 | INFO     | yamain.command.build:compile_ptq_model:1266 - subgraph [0], group: 0, type: GraphType.NPU
2025-09-28 06:19:57.546 | INFO     | yasched.test_onepass:results2model:2738 - max_cycle = 648,294
2025-09-28 06:20:36.065 | INFO     | backend.ax620e.linker:link_with_dispatcher:2007 - Total mcode size: 485 KiB
"""  # noqa: E501
SCHEMA = {
    "input": str, "output_dir": str, "output_name": str, "input_shapes": str,
    "model_type": {"ONNX", "QuantAxModel", "QuantONNX"},
    "target_hardware": {"AX650", "AX620E", "M76H"},
    "npu_mode": {"AX650": {"NPU1", "NPU2", "NPU3"}, "AX620E": {"NPU1", "NPU2"}},
    "quant": {
        "input_configs": {
            "tensor_name": str, "calibration_dataset": str, "calibration_size": int,
            "calibration_format": {"Image", "Numpy", "Binary", "NumpyObject"},
            "calibration_mean": list, "calibration_std": list,
        },
        "layer_configs": list,
        "calibration_method": {"MinMax", "Percentile", "MSE", "KL"},
        "precision_analysis": bool,
        "precision_analysis_method": {"PerLayer", "EndToEnd"},
        "precision_analysis_mode": {"Reference", "NPUBackend"},
    },
    "input_processors": {
        "tensor_name": str, "mean": list, "std": list,
        "tensor_format": {"AutoColorSpace", "BGR", "RGB", "GRAY"},
        "tensor_layout": {"NHWC", "NCHW"}, "src_layout": {"NHWC", "NCHW"},
        "src_format": {"AutoColorSpace", "GRAY", "BGR", "RGB", "YUYV422", "UYVY422", "YUV420SP", "YVU420SP"},
        "src_dtype": {"U8", "S8", "U16", "S16", "U32", "S32", "FP16", "FP32"},
    },
    "compiler": {"check": int},
}  # fmt: skip
"""What a configuration may hold: Pulsar2's documentation, "Configuration file details", of which
only newer versions (AXERA-TECH/pulsar2-docs) have KL and NumpyObject. `layer_configs`
are tested in test_precision.py."""


def undocumented(value, schema, at="config"):
    """Yield the keys of a configuration whose name or value the schema does not know."""
    if isinstance(schema, dict):
        for item in value if isinstance(value, list) else [value]:
            for key, inner in item.items():
                allowed = schema.get(key, ())
                if key == "npu_mode":
                    allowed = allowed[item["target_hardware"]]
                yield from undocumented(inner, allowed, f"{at}.{key}")
    elif not (type(value) is schema if isinstance(schema, type) else value in tuple(schema)):
        yield at


OFFERED = [
    (target, field, value)
    for target in ("ax630c", "ax650n")
    for field, of in type(load_target(ROOT / "conf", target)).model_fields.items()
    if field not in ("hardware", "precision")
    for value in ((True, False) if of.annotation is bool else get_args(of.annotation))
    if isinstance(value, str | bool)
]


@pytest.fixture
def docker(project):
    return install(project / "standins", "docker")


def config(target=AX630C, **changes):
    target = target.model_copy(update=changes)
    return build_config(target, "/data", "input", [1, 1, 98, 64], Scaling(3.0, 2.0), [])


def test_the_default_is_the_configuration_known_to_compile():
    assert config() == {
        "input": "/data/in/kws.onnx",
        "output_dir": "/data/out",
        "output_name": "kws.axmodel",
        "model_type": "ONNX",
        "target_hardware": "AX620E",
        "npu_mode": "NPU1",
        "input_shapes": "input:1x1x98x64",
        "quant": {
            "input_configs": [
                {
                    "tensor_name": "input",
                    "calibration_dataset": "/data/in/calib.tar",
                    "calibration_format": "Numpy",
                    "calibration_size": -1,
                    "calibration_mean": [],
                    "calibration_std": [],
                }
            ],
            "layer_configs": [],
            "calibration_method": "MinMax",
            "precision_analysis": False,
        },
        "compiler": {"check": 0},
    }


@pytest.mark.parametrize(("target", "field", "value"), OFFERED)
def test_every_value_that_is_offered_is_documented(target, field, value):
    found = config(load_target(ROOT / "conf", target), **{field: value})
    assert list(undocumented(found, SCHEMA)) == []


def test_what_is_not_documented_is_found():
    wrong = {"quant": {"input_configs": [{"calibration_format": "Wav"}], "method": "KL"}, "npu_mode": "NPU3"}
    found = undocumented(wrong | {"target_hardware": "AX620E", "compiler": {"check": "0"}}, SCHEMA)
    wrong_keys = ["compiler.check", "npu_mode", "quant.input_configs.calibration_format", "quant.method"]
    assert sorted(found) == [f"config.{key}" for key in wrong_keys]


def test_variants_change_what_they_name():
    assert config(precision_analysis=True)["quant"]["precision_analysis_method"] == "EndToEnd"
    ax650n = config(load_target(ROOT / "conf", "ax650n"), npu_mode="NPU3")
    assert (ax650n["target_hardware"], ax650n["npu_mode"]) == ("AX650", "NPU3")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("target.ax630c.npu_mode=NPU3", r"target\.ax630c\.npu_mode: input should be 'NPU1' or 'NPU2'"),
        ("target.ax630c.hardware=AX650", r"target\.ax630c\.hardware: input should be 'AX620E'"),
        ("target.ax630c.calibration_samples=0", "expected 1 or more, or -1 for all"),
        ("target.ax630c.image=--privileged", r"target\.ax630c\.image: .*match pattern"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path, override, says):
    with pytest.raises(UserError, match=says):
        make_project(tmp_path, 1, override)


@pytest.mark.parametrize(("form", "suffix"), [("Binary", "bin"), ("NumpyObject", "npy"), ("Image", "png")])
def test_the_archive_is_converted_to_the_same_bytes_each_time(tmp_path, form, suffix):
    samples = np.random.default_rng(0).standard_normal((3, 1, 98, 64)).astype(np.float32)
    write_tar(tmp_path / "a.tar", samples)
    for name in ("b.tar", "c.tar"):
        scaling = convert_tar(tmp_path / "a.tar", tmp_path / name, form, "input", (1, 1, 98, 64))
    assert (tmp_path / "b.tar").read_bytes() == (tmp_path / "c.tar").read_bytes()
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames() == [f"input_{i:05d}.{suffix}" for i in range(3)]
    assert (0 - scaling.mean) / scaling.std == pytest.approx(samples.min())
    assert (255 - scaling.mean) / scaling.std == pytest.approx(samples.max())


def test_facts_of_a_real_build_log():
    assert build_log.facts(LOG_OF_A_REAL_BUILD) == {
        "macs": 13_437_952, "max_cycle": 648_294, "ops": 15, "quantised_ops": 15, "float_ops": 0,
        "fp32_configs": 7, "calibration_samples": 300, "mcode_kib": 485, "subgraphs": ["NPU"],
    }  # fmt: skip
    assert build_log.facts("") == {}


def test_a_build_in_a_container_ends_in_an_axmodel_with_its_papers(project, docker, capsys):
    assert stage("compile", "ax630c") is None
    assert files("models/ax630c") == {"kws.axmodel", "build.json", "build.log", "pulsar2.json"}
    build = read("models/ax630c/build.json")
    assert build["tool"] == "Pulsar2 4.2 751f68f9"
    assert build["container"]["image"] == "pulsar2:4.2"
    assert build["container"]["id"].startswith("sha256:")
    assert (build["macs"], build["max_cycle"], build["float_ops"]) == (13_437_952, 648_294, 0)
    assert build["calibration_samples"] == 4
    assert build["compiled_for"] == {"hardware": "AX620E", "npu_mode": "NPU1", "pulsar2": "4.2"}
    assert set(build["inputs"]) == {"kws.onnx", "calib_kws.tar"}
    assert "ax630c: max_cycle = 648,294" in capsys.readouterr().err
    assert files("models") - {"kws.onnx"} == {f"ax630c/{name}" for name in files("models/ax630c")}


def test_the_container_has_no_network_the_callers_uid_and_two_folders(project, docker):
    stage("compile", "ax630c")
    (command,) = [c for c in docker.calls("docker") if c[0] == "run" and "build" in c]
    assert {"--network=none", "--pull=never", "--rm", "--init"} <= set(command)
    assert command[command.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    mounts = [value for flag, value in pairwise(command) if flag == "--mount"]
    job = project / "models/ax630c.partial/ax630c/job"
    assert mounts == [
        f"type=bind,source={job}/in,target=/data/in,readonly",
        f"type=bind,source={job}/out,target=/data/out",
    ]
    assert command[command.index("pulsar2") - 1].startswith("sha256:"), "the image, not its name"


def test_a_container_that_runs_as_its_own_user_hands_its_files_back(project, docker, monkeypatch):
    monkeypatch.setenv("KWS_CONTAINER_USER", "image")
    assert stage("compile", "ax630c") is None
    runs = [c for c in docker.calls("docker") if c[0] == "run"]
    assert not any("--user" in c for c in runs)
    assert [*("-R", f"{os.getuid()}:{os.getgid()}"), "/data/out"] == runs[-1][-3:]


@pytest.mark.parametrize(
    ("as_caller", "uid", "named"), [(True, 1000, True), (True, 0, False), (False, 1000, False)]
)
def test_a_user_without_a_name_of_its_own_in_the_image_gets_one(tmp_path, monkeypatch, as_caller, uid, named):
    """For programs that ask who runs them; the image's own user, and root, have a name that must stay."""
    monkeypatch.setattr("os.getuid", lambda: uid)
    command = Toolchain("docker", "pulsar2:4.2", "sha256:0", as_caller).command(tmp_path, "n", ["pulsar2"])
    assert [{"USER=kws", "LOGNAME=kws"} <= set(command), "USER=kws" in command] == [named, named]


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_where_selinux_enforces_folders_are_labelled_for_containers(tmp_path, monkeypatch, engine):
    tools = Toolchain(engine, "pulsar2:4.2", "sha256:0")
    monkeypatch.setattr("kws.targets.toolchain.ENFORCE", tmp_path / "enforce")
    for said, labelled in ((None, False), ("0", False), ("1", True)):
        if said:
            (tmp_path / "enforce").write_text(said)
        command = tools.command(tmp_path / "a, b", "name", ["pulsar2"])
        assert ("--volume" in command, "--mount" in command) == (labelled, not labelled)
    volumes = [value for flag, value in pairwise(command) if flag == "--volume"]
    assert volumes == [f"{tmp_path}/a, b/in:/data/in:ro,z", f"{tmp_path}/a, b/out:/data/out:z"]
    with pytest.raises(UserError, match=r"a:b/in: has a colon, which no container takes .* with SELinux"):
        tools.command(tmp_path / "a:b", "name", ["pulsar2"])


def test_a_build_on_a_machine_with_selinux_ends_as_any_other(project, docker, monkeypatch):
    (project / "enforce").write_text("1")
    monkeypatch.setattr("kws.targets.toolchain.ENFORCE", project / "enforce")
    assert stage("compile", "ax630c") is None
    assert (project / "models/ax630c/kws.axmodel").is_file()


def test_a_mount_survives_a_comma_in_the_path(tmp_path):
    tools = Toolchain("docker", "pulsar2:4.2", "sha256:0")
    command = tools.command(tmp_path / "a, b", "name", ["pulsar2"])
    assert f'type=bind,"source={tmp_path}/a, b/in",target=/data/in,readonly' in command


def test_podman_keeps_the_callers_uid(tmp_path, monkeypatch):
    monkeypatch.setattr("os.getuid", lambda: 1000)
    command = Toolchain("podman", "pulsar2:4.2", "sha256:0").command(tmp_path, "name", ["pulsar2"])
    assert command[0] == "podman"
    assert "--userns=keep-id" in command


def test_an_installed_pulsar2_is_used_where_there_is_no_container(project):
    install(project / "standins", "pulsar2")
    assert stage("compile", "ax650n") is None
    assert read("models/ax650n/build.json")["container"] is None
    assert read("models/ax650n/pulsar2.json")["target_hardware"] == "AX650"


def test_another_version_than_the_images_is_warned_about(project, capsys):
    install(project / "standins", "pulsar2")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("image: pulsar2:4.2", "image: pulsar2:7.0"))
    assert stage("compile", "ax630c") is None
    assert "Pulsar2 4.2 751f68f9 is installed, but the image would be pulsar2:7.0" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["Binary", "NumpyObject", "Image"])
def test_pulsar2_reads_every_calibration_format(project, docker, form):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("_format: Numpy", f"_format: {form}"))
    assert stage("compile", "ax630c") is None


def test_the_precision_analysis_becomes_a_table(project, docker):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("analysis: false", "analysis: true"))
    assert stage("compile", "ax630c") is None
    assert read("models/ax630c/build.json")["precision"] == [
        {"op": "/conv1/Conv", "tensor": "conv1", "cosine": 0.99991, "mse": 0.00012},
        {"op": "/fc/Gemm", "tensor": "output", "cosine": 0.99871, "mse": 0.00312},
    ]


def test_without_pulsar2_it_fails_at_once_and_says_what_is_missing(project):
    message = stage("compile", "ax630c")
    assert message.startswith("error: target.ax630c: needs Pulsar2, but docker is not on PATH; podman is not")
    assert "pulsar2 is not on PATH; docs/pulsar2.md says how to get it" in message
    assert "\n" not in message
    assert files("models") == {"kws.onnx"}
    assert stage("compile", "host") is None, "the default target is none the worse for it"


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("no_daemon", "docker has no running daemon (Cannot connect to the Docker daemon"),
        ("no_image", "docker has no image pulsar2:4.2"),
        ("docker_error", "`pulsar2 version` ended with exit status 125"),
        ("quant_error", "stopped with QuantError: AssertionError('Numpy File"),
        ("frontend_error", "the usual cause: an operator that Pulsar2 does not know"),
        ("ocm_error", "try npu_mode NPU2"),
        ("oom", "was killed (exit status 137), mostly for lack of memory"),
        ("no_output", "ended well, but its kws.axmodel is missing or empty"),
        ("empty", "ended well, but its kws.axmodel is missing or empty"),
        ("garbage", "kws.axmodel cannot be read"),
        ("other_chip", "kws.axmodel is for AX650 in mode NPU1, expected AX620E in mode NPU1"),
        ("other_mode", "kws.axmodel is for AX620E in mode NPU2, expected AX620E in mode NPU1"),
        ("other_version", "kws.axmodel is of Pulsar2 7.0, expected Pulsar2 4.2 751f68f9"),
        ("other_shape", "kws.axmodel has other inputs or outputs than the ONNX"),
    ],
)
def test_a_failure_is_one_line_and_leaves_no_model(project, docker, mode, says):
    docker.go_wrong(mode)
    message = stage("compile", "ax630c")
    assert message.startswith("error: target.ax630c: ")
    assert says in message
    assert "\n" not in message
    assert files("models") <= {"kws.onnx", "ax630c.log"}


def test_a_model_that_keeps_its_chip_to_itself_is_warned_about(project, docker, capsys):
    docker.go_wrong("no_metadata")
    assert stage("compile", "ax630c") is None
    assert "does not say which chip it is for" in capsys.readouterr().err


def test_a_failed_build_keeps_its_log(project, docker):
    docker.go_wrong("quant_error")
    assert stage("compile", "ax630c").endswith("its log: models/ax630c.log")
    assert "Traceback" in (project / "models/ax630c.log").read_text()


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("hang", "was stopped after 0.1 minutes; raise target.ax630c.timeout_min"),
        ("huge", "printed without end"),
    ],
)
def test_a_build_that_does_not_end_is_stopped_with_its_container(project, docker, mode, says, monkeypatch):
    monkeypatch.setattr("kws.targets.toolchain._LOG_LIMIT", 2**20)
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("timeout_min: 60", "timeout_min: 0.1"))
    docker.go_wrong(mode)
    assert says in stage("compile", "ax630c")
    assert docker.calls("docker")[-1][:2] == ["rm", "--force"]
    assert not list((project / "standins/state").glob("*.pid")), "no container runs on"
    assert files("models") <= {"kws.onnx", "ax630c.log"}


def test_escape_sequences_reach_neither_log_nor_terminal(project, docker, capsys):
    docker.go_wrong("escapes")
    assert stage("compile", "ax630c") is None
    for text in ((project / "models/ax630c/build.log").read_text(), capsys.readouterr().err):
        assert all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"KWS_CONTAINER": "podman"}, "podman is not on PATH"),
        ({"KWS_CONTAINER_USER": "root"}, "KWS_CONTAINER_USER: is 'root', expected caller or image"),
    ],
)
def test_a_named_engine_is_the_only_one_tried(project, docker, environment, says):
    with pytest.raises(UserError) as error:
        find_toolchain("pulsar2:4.2", environment)
    assert str(error.value) == says


def test_without_a_board_the_answers_are_simulated_and_no_time_is_claimed(project, docker):
    stage("compile", "ax630c")
    assert stage("benchmark", "ax630c") is None
    result = read("reports/benchmark/ax630c.json")
    params = load_params(project / "params.yaml")
    inputs, actual = read_inputs(project / "data/calib", (98, 64), params.labels)
    expected = accuracy(Classifier(project / "models/kws.onnx").logits(inputs), actual)
    assert result == {
        "tool": "Pulsar2 4.2 751f68f9", "simulated": True, "top1_agreement": 1.0,
        "cosine": pytest.approx(1), "accuracy": expected, "accuracy_drop": 0.0,
    }  # fmt: skip
    assert not list((project / "models").glob("*.partial"))


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("run_error", "`pulsar2 run` ended with exit status 1"),
        ("lost_output", "1 of 6 inputs have no output, the first of them 1"),
        ("no_image", "needs Pulsar2, but docker has no image"),
    ],
)
def test_a_simulation_that_fails_is_one_line_and_leaves_nothing(project, docker, mode, says):
    stage("compile", "ax630c")
    docker.go_wrong(mode)
    message = stage("benchmark", "ax630c")
    assert says in message
    assert "\n" not in message
    assert not (project / "reports").exists()
    assert not list((project / "models").glob("*.partial"))


def test_a_list_with_windows_line_ends_is_refused_before_anything_runs(project, docker):
    stage("compile", "ax630c")
    listing = project / "data/calib/list.txt"
    listing.write_bytes(listing.read_bytes().replace(b"\n", b"\r\n"))
    assert "data/calib/list.txt: has Windows line ends" in stage("benchmark", "ax630c")


def test_a_killed_build_leaves_nothing_to_the_next(project, docker):
    (project / "models/ax630c.partial/ax630c/job/out").mkdir(parents=True)
    (project / "models/ax630c.partial/ax630c/job/out/kws.axmodel").write_bytes(b"old")
    assert stage("compile", "ax630c") is None
    assert json.loads((project / "models/ax630c/build.json").read_text())["size_kb"] > 1
    shutil.rmtree(project / "models/ax630c")
