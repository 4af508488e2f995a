"""The network, its training, its ONNX graph and its INT8 form."""

import dataclasses
import platform

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from conftest import ROOT, changed
from kws.augment.splits import TRAIN, VAL
from kws.common.errors import UserError
from kws.features.logmel import features
from kws.models import build_model
from kws.models.prototypes import SCALE, Prototypes
from kws.models.speech import FRAMES
from kws.params.compose import compose
from kws.params.sections import BcresnetModel, CrnnModel, DscnnModel, EncoderModel, Host, TcresnetModel
from kws.params.whole import load_params
from kws.runtime.inference import Classifier, accuracy, cpu_session, softmax
from kws.targets.calibration import write_tar
from kws.targets.export import max_abs_diff, to_onnx
from kws.targets.graph import first_convolutions, macs, n_params, op_counts
from kws.targets.host import FLOAT_ONLY, compile_host, precision, quantise
from kws.targets.operators import unsupported
from kws.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from kws.training.dataset import Dataset, split_dataset
from kws.training.loop import fit
from kws.training.transfer import HEAD, place_prototypes, start_from

LABELS = [f"WORD{i}" for i in range(8)]
CRNN = CrnnModel(name="crnn", channels=[16, 32], hidden=64, pool="mean")
DSCNN = DscnnModel(name="dscnn", channels=64, blocks=4, kernel=(10, 16), stride=(4, 8))
TCRESNET = TcresnetModel(name="tcresnet", channels=[16, 24, 32, 48], kernel=9)
BCRESNET = BcresnetModel(name="bcresnet", tau=2, blocks=[1, 1, 1, 1], stride=(4, 4))
ENCODER = EncoderModel(
    name="encoder",
    prototypes=6,
)
CONVOLUTIONAL = [DSCNN, TCRESNET, BCRESNET, ENCODER]
HOST = Host(calibration_method="MinMax", float_input=False, float_ops=[], threads=1, warmup=1, repeat=10)


def toy(front_end, clips=40, seed=0):
    """Features whose label is a band with more energy: learned in a few steps."""
    random = np.random.default_rng(seed)
    shards = []
    for label in range(len(LABELS)):
        shard = random.standard_normal((clips, front_end.n_frames, front_end.n_mels))
        shard[:, :, 4 * label : 4 * label + 4] += 2
        shards.append(shard.astype(np.float16))
    splits = [[TRAIN] * (clips - 8) + [VAL] * 8] * len(LABELS)
    return [split_dataset(shards, list(range(len(LABELS))), splits, split) for split in (TRAIN, VAL)]


def checkpoint(front_end, model=CRNN):
    torch.manual_seed(0)
    network = build_model(model, front_end.n_frames, front_end.n_mels, len(LABELS))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return Checkpoint(network.state_dict(), LABELS, model, front_end)


@pytest.mark.parametrize("pool", ["last", "mean"])
def test_the_crnn_keeps_its_contract_after_export(front_end, pool):
    model = to_onnx(checkpoint(front_end, CRNN.model_copy(update={"pool": pool})))
    pooling = {"last": "Gather", "mean": "ReduceMean"}[pool]
    assert op_counts(model.graph.node) == dict(
        sorted(
            {
                "Conv": 2,
                "Relu": 2,
                "MaxPool": 2,
                "Transpose": 4,
                "Reshape": 2,
                "GRU": 1,
                "Gemm": 1,
                pooling: 1,
            }.items()
        )
    )
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"input": [1, 1, 98, 64], "output": [1, 8]}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 13)]
    assert macs(model) == 13_437_952
    assert n_params(model) == 227_784
    assert len(model.SerializeToString()) / 1024 == pytest.approx(894, abs=2)


def test_a_clip_too_short_for_the_network_is_refused(front_end):
    short = changed(front_end, clip_s=0.2, window_ms=100, hop_ms=100, n_fft=2048)
    with pytest.raises(UserError, match="needs 4 frames of 4 bands at least, features give 2 of 64"):
        checkpoint(short)


def test_the_graph_says_what_it_was_made_for(front_end):
    props = {p.key: p.value for p in to_onnx(checkpoint(front_end)).metadata_props}
    assert props["labels"] == str(LABELS).replace("'", '"')
    assert '"n_mels": 64' in props["front_end"]


def test_onnx_agrees_with_torch_and_disagreement_is_an_error(front_end):
    trained = checkpoint(front_end)
    inputs = np.random.default_rng(0).standard_normal((16, 1, 98, 64)).astype(np.float32)
    model = to_onnx(trained)
    assert max_abs_diff(trained, model, inputs) <= 1e-4
    torch.manual_seed(1)
    other = build_model(CRNN, 98, 64, 8).state_dict()
    with pytest.raises(UserError, match="logits differ from torch"):
        max_abs_diff(dataclasses.replace(trained, state=other), model, inputs)


@pytest.fixture(scope="module", params=sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml")))
def offered(request, front_end, tmp_path_factory):
    """A network that conf/model offers: its name, its checkpoint and its graph."""
    folder = tmp_path_factory.mktemp(request.param)
    compose(ROOT / "conf", folder / "params.yaml", [f"model={request.param}"])
    network = checkpoint(front_end, load_params(folder / "params.yaml").model)
    return request.param, network, to_onnx(network)


@pytest.fixture(scope="module")
def heard(front_end, word, fan):
    """Features of a word and of a fan, with as much noise: float32 [16, 1, 98, 64].

    Of unit variance, as batch norms expect that no training has set.
    """
    rate, unit = front_end.sample_rate, changed(front_end, norm="cmvn")
    clips = [np.pad(word, (0, rate - len(word))), *(fan[i * rate : (i + 1) * rate] for i in range(7))]
    noise = np.random.default_rng(0).standard_normal((8, 1, 98, 64)).astype(np.float32)
    return np.concatenate([np.stack([features(clip, unit) for clip in clips])[:, None], noise])


def test_every_network_becomes_one_static_graph(offered):
    _, _, model = offered
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 13)]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    assert (shapes["input"], shapes["output"]) == ([1, 1, 98, 64], [1, 8])
    assert set(shapes) >= {output for node in model.graph.node for output in node.output if output}
    assert all(size > 0 for shape in shapes.values() for size in shape)
    assert "BatchNormalization" not in op_counts(model.graph.node)


def test_every_network_answers_in_onnx_as_in_torch(offered, heard):
    _, network, model = offered
    assert max_abs_diff(network, model, heard) <= 1e-4


def test_every_network_answers_in_int8_as_in_float(offered, heard, tmp_path):
    _, _, model = offered
    onnx.save(model, tmp_path / "kws.onnx")
    write_tar(tmp_path / "calib.tar", heard)
    compiled, found = compile_host(tmp_path / "kws.onnx", tmp_path / "calib.tar", HOST)
    reference, int8 = (Classifier(m.SerializeToString()).logits(heard) for m in (model, compiled))
    assert np.abs(int8 - reference).max() < 0.1 * np.ptp(reference)
    assert found["int8_ops"]["Conv"] == op_counts(model.graph.node)["Conv"]


def test_convolutional_networks_use_what_both_chips_support_and_the_others_lack_the_gru(offered):
    name, _, model = offered
    if name.startswith("crnn"):  # the original, Gather and all, is known to have compiled with Pulsar2 4.2
        gather = ["Gather: indices are not one-dimensional constants"] if name == "crnn" else []
        assert unsupported(model) == ["GRU: not in the lists", *gather]
    else:
        assert unsupported(model) == []
    if not name.startswith(("crnn", "encoder")):
        assert [node.op_type for node in model.graph.node][-2:] == ["ReduceMean", "Gemm"]


def test_convolutional_networks_that_start_from_nothing_are_small(offered):
    name, _, model = offered
    if not name.startswith(("crnn", "encoder")):
        assert n_params(model) <= 100_000
        assert macs(model) <= 13_437_952 / 2


@pytest.mark.parametrize("model", CONVOLUTIONAL, ids=lambda m: m.name)
def test_convolutions_compute_in_integers(front_end, tmp_path, heard, model):
    """ONNX Runtime says what it makes of the INT8 form; a tensor with two readers is the hard case."""
    onnx.save(to_onnx(checkpoint(front_end, model)), tmp_path / "kws.onnx")
    write_tar(tmp_path / "calib.tar", heard)
    compiled, _ = compile_host(tmp_path / "kws.onnx", tmp_path / "calib.tar", HOST)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(compiled.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert "Conv" not in op_counts(onnx.load(tmp_path / "optimised.onnx").graph.node)


@pytest.mark.parametrize("model", [CRNN, *CONVOLUTIONAL], ids=lambda m: m.name)
@pytest.mark.parametrize(("n_mels", "clip_s"), [(40, 1.5), (20, 0.5)])
def test_every_shape_follows_from_the_front_end(front_end, tmp_path, model, n_mels, clip_s):
    front_end = changed(front_end, n_mels=n_mels, clip_s=clip_s)
    shape = (front_end.n_frames, n_mels)
    onnx.save(to_onnx(checkpoint(front_end, model)), tmp_path / "kws.onnx")
    samples = np.random.default_rng(0).standard_normal((8, 1, *shape)).astype(np.float32)
    write_tar(tmp_path / "calib.tar", samples)
    compiled, _ = compile_host(tmp_path / "kws.onnx", tmp_path / "calib.tar", HOST)
    assert Classifier(compiled.SerializeToString()).logits(samples).shape == (8, 8)


@pytest.mark.parametrize("model", CONVOLUTIONAL, ids=lambda m: m.name)
def test_convolutional_networks_take_the_smallest_features_there_are(front_end, model):
    smallest = changed(front_end, clip_s=0.2, window_ms=100, hop_ms=100, n_fft=2048, n_mels=4)
    assert (smallest.n_frames, smallest.n_mels) == (2, 4)
    assert checkpoint(smallest, model).network()(torch.zeros(3, 1, 2, 4)).shape == (3, 8)


@pytest.mark.parametrize("model", [DSCNN, TCRESNET, BCRESNET], ids=lambda m: m.name)
def test_convolutional_networks_learn(front_end, params, model):
    train, val = toy(front_end)
    cfg = params.train.model_copy(update={"epochs": 4, "batch_size": 16, "lr": 4e-3})
    torch.manual_seed(3)
    network = build_model(model, front_end.n_frames, front_end.n_mels, len(LABELS))
    assert fit(network, train, val, cfg, params.trainer, 1, 0).epochs[-1].val_accuracy > 0.9


def test_int8_agrees_with_float_and_names_what_stays_in_float(front_end, params, tmp_path):
    train, val = toy(front_end)
    torch.manual_seed(3)
    network = build_model(CRNN, front_end.n_frames, front_end.n_mels, len(LABELS))
    cfg = params.train.model_copy(update={"epochs": 3, "batch_size": 32})
    best = fit(network, train, val, cfg, params.trainer, 1, 0)
    onnx.save(to_onnx(Checkpoint(best.state, LABELS, CRNN, front_end)), tmp_path / "kws.onnx")
    write_tar(tmp_path / "calib.tar", train.take(np.arange(0, len(train), 4))[0])
    compiled, found = compile_host(tmp_path / "kws.onnx", tmp_path / "calib.tar", HOST)
    inputs, labels = val.take(np.arange(len(val)))
    reference, int8 = (
        Classifier(m).logits(inputs) for m in (tmp_path / "kws.onnx", compiled.SerializeToString())
    )
    assert accuracy(int8, reference.argmax(1)) >= 0.95
    assert accuracy(int8, labels) >= accuracy(reference, labels) - 0.05
    assert not np.array_equal(int8, reference)
    assert found["int8_ops"]["Conv"] == 2
    assert found["float_ops"]["GRU"] == 1
    weights = [
        w for w in compiled.graph.initializer if w.data_type == onnx.TensorProto.INT8 and len(w.dims) == 4
    ]
    assert len(weights) == 2
    host = HOST.model_copy(update={"float_input": True})
    _, found = compile_host(tmp_path / "kws.onnx", tmp_path / "calib.tar", host)
    assert (found["int8_ops"]["Conv"], found["float_ops"]["Conv"]) == (1, 1)


def test_the_first_convolutions_hear_the_features(offered):
    """Each of the encoder's two networks has one."""
    name, _, model = offered
    assert len(first_convolutions(model.graph)) == (2 if name == "encoder" else 1)


def test_operators_stay_in_float_where_a_target_says_so(front_end, params, tmp_path, heard):
    """All that the default names is there, so nothing of it is out of date."""
    onnx.save(to_onnx(checkpoint(front_end, ENCODER)), tmp_path / "kws.onnx")
    write_tar(tmp_path / "calib.tar", heard)
    named = params.target.host.float_ops
    nodes = onnx.load(tmp_path / "kws.onnx").graph.node
    assert set(named) <= {n.op_type for n in nodes} | {n.name for n in nodes}
    _, found = compile_host(tmp_path / "kws.onnx", tmp_path / "calib.tar", params.target.host)
    in_float = {
        "Add": 2,
        "Conv": 3,
        "Div": 1,
        "Gemm": 2,
        "MatMul": 2,
        "ReduceL2": 1,
        "ReduceMax": 1,
    }
    assert {op: found["float_ops"][op] for op in in_float} == in_float
    assert set(found["int8_ops"]) == {"Add", "Conv", "LeakyRelu", "MaxPool"}


def test_as_on_an_npu_every_operator_is_in_8_bits(offered, tmp_path, heard):
    """But those for which ONNX Runtime has no integer arithmetic, and those that only move numbers."""
    _, _, model = offered
    onnx.save(model, tmp_path / "kws.onnx")
    write_tar(tmp_path / "calib.tar", heard)
    found = precision(quantise(tmp_path / "kws.onnx", tmp_path / "calib.tar"))
    assert set(found["float_ops"]) <= {*FLOAT_ONLY, "Gather", "Reshape", "Slice", "Transpose"}
    assert found["int8_ops"]["Conv"]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="others add in 32 bits")
def test_no_pair_of_8_bit_products_exceeds_16_bits(offered, tmp_path, heard, monkeypatch):
    """Such are added without VNNI. ONNX Runtime leaves weights signed only where a pair of products fits."""
    monkeypatch.setattr("kws.runtime.inference.instructions", list)
    _, _, model = offered
    onnx.save(model, tmp_path / "kws.onnx")
    write_tar(tmp_path / "calib.tar", heard)
    compiled = quantise(tmp_path / "kws.onnx", tmp_path / "calib.tar").SerializeToString()
    options = cpu_session(compiled).get_session_options()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    ort.InferenceSession(compiled, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "run.onnx").graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    weights = {
        node.output[0]: constants[node.input[at]].astype(int)
        for node in graph.node
        for op, at in {"QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3}.items()
        if node.op_type == op and constants.get(node.input[at], np.uint8(0)).dtype == np.int8
    }
    assert any(node.op_type == "QLinearConv" for node in graph.node)
    assert {name for name, w in weights.items() if 2 * 255 * abs(w).max() > 2**15 - 1} == set()


def test_8_bit_products_are_added_in_32():
    """A pair of products of u8 and s8 fits no 16 bits."""
    x, w = np.full((1, 64), 255, np.uint8), np.full((64, 1), 127, np.int8)
    one, nothing = np.float32(1), {"u8": np.uint8(0), "s8": np.int8(0)}
    constants = {"one": one, "zero_u8": nothing["u8"], "zero_s8": nothing["s8"], "w": w, "x": x}
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("QuantizeLinear", ["input", "one", "zero_u8"], ["q"]),
            onnx.helper.make_node("DequantizeLinear", ["q", "one", "zero_u8"], ["a"]),
            onnx.helper.make_node("DequantizeLinear", ["w", "one", "zero_s8"], ["b"]),
            onnx.helper.make_node("MatMul", ["a", "b"], ["output"]),
        ],
        "products",
        [onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 64])],
        [onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [1, 1])],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k != "x"],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=7)
    found = Classifier(model.SerializeToString()).logits(x.astype(np.float32))
    assert found.item() == x.astype(int) @ w.astype(int)


@pytest.mark.parametrize("method", ["Percentile", "Entropy"])
def test_every_calibration_method_works(front_end, tmp_path, method):
    onnx.save(to_onnx(checkpoint(front_end)), tmp_path / "kws.onnx")
    samples = np.random.default_rng(0).standard_normal((16, 1, 98, 64)).astype(np.float32)
    write_tar(tmp_path / "calib.tar", samples)
    host = HOST.model_copy(update={"calibration_method": method})
    compiled, _ = compile_host(tmp_path / "kws.onnx", tmp_path / "calib.tar", host)
    assert np.isfinite(Classifier(compiled.SerializeToString()).logits(samples)).all()


@pytest.mark.parametrize("model", [CRNN, *CONVOLUTIONAL], ids=lambda m: m.name)
def test_a_checkpoint_round_trip_gives_the_same_logits(front_end, tmp_path, model):
    before = checkpoint(front_end, model)
    save_checkpoint(before, tmp_path / "kws.pt")
    after = load_checkpoint(tmp_path / "kws.pt")
    assert (after.labels, after.model, after.front_end) == (LABELS, model, front_end)
    inputs = torch.randn(4, 1, 98, 64)
    assert torch.equal(before.network()(inputs), after.network()(inputs))


def test_a_foreign_checkpoint_is_refused_and_its_code_not_run(tmp_path):
    class Boom:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    for value in (Boom(), {"state": {}}, [1, 2]):
        torch.save(value, tmp_path / "bad.pt")
        with pytest.raises(UserError, match=r"bad\.pt: not a checkpoint of this version"):
            load_checkpoint(tmp_path / "bad.pt")
    (tmp_path / "bad.pt").write_bytes(b"junk")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "bad.pt")
    assert not (tmp_path / "ran").exists()


def test_batches_hold_every_clip_once_with_its_label():
    shards = [np.full((5, 2, 3), shard, np.float16) + np.arange(5)[:, None, None] / 10 for shard in range(3)]
    splits = [[TRAIN, TRAIN, VAL, TRAIN, VAL]] * 3
    train: Dataset = split_dataset(shards, [0, 1, 0], splits, TRAIN)
    assert len(train) == 9
    seen = []
    for batch, labels in train.batches(4):
        assert batch.dtype == np.float32
        assert batch.shape[1:] == (1, 2, 3)
        assert np.array_equal(batch[:, 0, 0, 0].astype(int) % 2, labels)
        seen += list(batch[:, 0, 0, 0])
    assert np.allclose(seen, [0, 0.1, 0.3, 1, 1.1, 1.3, 2, 2.1, 2.3], atol=1e-2)


def test_softmax_and_accuracy():
    logits = np.array([[0, 0, 0], [1000, 0, 0], [0, np.log(3), 0]], np.float32)
    assert np.allclose(softmax(logits), [[1 / 3] * 3, [1, 0, 0], [0.2, 0.6, 0.2]])
    assert accuracy(logits, np.array([0, 0, 2])) == pytest.approx(2 / 3)


def test_macs_of_known_graphs():
    def graph(module, *shape):
        import io

        buffer = io.BytesIO()
        torch.onnx.export(module.eval(), (torch.zeros(shape),), buffer, opset_version=13, dynamo=False)
        return onnx.load_from_string(buffer.getvalue())

    assert macs(graph(torch.nn.Linear(10, 4), 1, 10)) == 40
    assert macs(graph(torch.nn.Conv2d(8, 8, 3, groups=8), 1, 8, 10, 10)) == 8 * 9 * 64
    assert macs(graph(torch.nn.Conv2d(3, 5, (1, 3), stride=2), 1, 3, 9, 9)) == 5 * 3 * 3 * 5 * 4


@pytest.mark.parametrize(
    ("model", "by_hand"),
    [
        (DSCNN, 25 * 8 * 64 * (10 * 16 + 4 * (9 + 64)) + 64 * 8),
        (
            TCRESNET,
            98 * 16 * 64 * 3
            + 49 * 24 * (9 * 16 + 9 * 24 + 16)
            + 25 * 32 * (9 * 24 + 9 * 32 + 24)
            + 13 * 48 * (9 * 32 + 9 * 48 + 32)
            + 48 * 8,
        ),
        (
            BCRESNET,
            25 * 16 * 32 * 25
            + 25 * 16 * 16 * (32 + 3)
            + 25 * (16 * 24 * 16 + 8 * 24 * 3)
            + 25 * (8 * 32 * 24 + 4 * 32 * 3)
            + 25 * 4 * 40 * (32 + 3)
            + 25 * sum(n * (3 + n) for n in (16, 24, 32, 40))
            + 25 * 40 * (5 * 4 + 64)
            + 64 * 8,
        ),
        (
            ENCODER,
            98 * 32 * 64
            + 96 * 32 * 24 * (9 + 3 * 24)
            + 94 * 32 * 24 * 3 * 24
            + 16 * 48 * 3 * (47 * 24 + 45 * 48 + 45 * 48 + 43 * 48)
            + 8 * 72 * 3 * (43 * 48 + 41 * 72 + 41 * 72 + 39 * 72)
            + 4 * 96 * 3 * (19 * 72 + 17 * 96 + 17 * 96 + 15 * 96)
            + 2 * 96 * 3 * 96 * (15 + 13 + 13 + 11)
            + 3 * 96 * 3 * 96
            + 288 * 384
            + 49 * 32 * 16 * 25
            + 49 * 16 * 24 * 16 * 9
            + 25 * 8 * 48 * 24 * 9
            + 25 * 4 * 48 * 48 * 9
            + 25 * 96 * (4 * 48 + 10 * 96 * 5 + 384)
            + 384 * 384
            + 384 * (7 + 6),
        ),
    ],
    ids=lambda m: getattr(m, "name", ""),
)
def test_macs_of_grouped_strided_and_dilated_convolutions(front_end, model, by_hand):
    """Positions, times channels, times the weights of one channel; then the linear layer."""
    assert macs(to_onnx(checkpoint(front_end, model))) == by_hand


def test_the_encoder_starts_from_weights_for_other_words(front_end):
    """All but what belongs to labels, which other labels need anew; clips may be longer."""
    theirs = Checkpoint(checkpoint(front_end, ENCODER).state, ["ONE", "TWO"], ENCODER, front_end)
    model = ENCODER.model_copy(update={"prototypes": 9})
    network = build_model(model, front_end.n_frames, front_end.n_mels, 3)
    start_from(network, theirs, changed(front_end, clip_s=1.5, dtype="float32"))
    ours = network.state_dict()
    same = {name for name in ours if name in theirs.state and torch.equal(ours[name], theirs.state[name])}
    assert set(ours) - same == {name for name in ours if name.startswith(HEAD)}


def test_a_frozen_encoder_learns_what_is_background_and_nothing_else(front_end, params):
    train, val = toy(front_end)
    theirs = checkpoint(front_end, ENCODER)
    network = build_model(ENCODER, front_end.n_frames, front_end.n_mels, len(LABELS))
    start_from(network, theirs, front_end)
    clips = np.arange(len(train))
    with torch.inference_mode():
        heard = network.embedding(torch.from_numpy(train.take(clips)[0])).numpy()
    place_prototypes(network, Dataset([heard], np.zeros_like(clips), clips, train.labels), 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fit(network, train, val, params.train.model_copy(update={"epochs": 1}), params.trainer, 1, 0)
    after = network.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {"head.background"}


def test_an_encoder_of_other_features_is_refused(front_end):
    theirs = checkpoint(front_end, ENCODER)
    network = build_model(ENCODER, front_end.n_frames, front_end.n_mels, 3)
    with pytest.raises(UserError, match=r"encoder.pt: .* \(n_fft 512, now 1024\); change them back"):
        start_from(network, theirs, changed(front_end, n_fft=1024))


def test_clips_shorter_than_the_public_embedding_hears_go_on_with_their_mean(front_end):
    network = load_checkpoint(ROOT / "data/encoder/encoder.pt").network().speech
    short = torch.randn(2, 1, FRAMES - 10, front_end.n_mels)
    longer = torch.cat([short, torch.zeros(2, 1, 10, front_end.n_mels)], 2)
    assert torch.equal(network(short), network(longer))
    assert not torch.allclose(network(short), network(torch.roll(longer, 10, 2)))


@pytest.mark.parametrize("background", [0, 1, 3])
def test_prototypes_say_which_label_is_nearest_wherever_the_background_stands(background):
    """Four directions, one a label; the background has two."""
    head = Prototypes(4, 8, 4)
    directions = torch.eye(4).repeat(10, 1)
    labels = torch.arange(4).repeat(10)
    head.place(directions, labels, background)
    logits = head(torch.eye(4))
    assert torch.equal(logits.argmax(1), torch.arange(4))
    assert torch.allclose(logits.diagonal(), torch.full((4,), SCALE))
