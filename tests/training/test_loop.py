"""Training: batches, what is changed in them, the curves, stopping, and going on after a kill."""

import csv
import importlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from conftest import ROOT
from kws.augment.splits import TRAIN, VAL
from kws.common.errors import UserError
from kws.models import build_model
from kws.models.encoder import EMBEDDING
from kws.params.compose import compose
from kws.params.whole import load_params
from kws.training.batches import BLOCK, Batches
from kws.training.checkpoint import load_checkpoint
from kws.training.dataset import split_dataset
from kws.training.loop import fit
from kws.training.module import Task
from kws.training.objective import balanced, factor
from kws.training.regularise import mask, mixup
from kws.training.resume import fingerprint

N_LABELS = 4


def toy(front_end, clips=32, seed=0):
    """Features whose label is a band with more energy: learned in a few steps."""
    random = np.random.default_rng(seed)
    shards = []
    for label in range(N_LABELS):
        shard = random.standard_normal((clips, front_end.n_frames, front_end.n_mels))
        shard[:, :, 4 * label : 4 * label + 4] += 2
        shards.append(shard.astype(np.float16))
    splits = [[TRAIN] * (clips - 8) + [VAL] * 8] * N_LABELS
    return [split_dataset(shards, list(range(N_LABELS)), splits, split) for split in (TRAIN, VAL)]


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """A network that starts from nothing and learns in a few steps."""
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    compose(ROOT / "conf", path, ["model=crnn_mean", "train=scratch"])
    return load_params(path)


@pytest.fixture
def train_toy(params):
    """Train on toy features with changed parameters."""
    train, val = toy(params.features)

    def run(on_epoch=lambda *_: None, resume=None, machine=params.trainer, **changes):
        torch.manual_seed(3)
        network = build_model(params.model, params.features.n_frames, params.features.n_mels, N_LABELS)
        cfg = params.train.model_copy(update={"epochs": 3, "batch_size": 16} | changes)
        return fit(network, train, val, cfg, machine, 1, 0, on_epoch, resume)

    run.data = train, val
    return run


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def numbered(n, tmp_path=None):
    """A data set whose clips hold their own number, in memory or in files."""
    shards = [np.arange(n, dtype=np.float32)[part][:, None, None] for part in (slice(0, 7), slice(7, n))]
    if tmp_path:
        for index, shard in enumerate(shards):
            np.save(tmp_path / f"{index}.npy", shard)
        shards = [np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(2)]
    return split_dataset(shards, [0, 1], [[TRAIN] * len(s) for s in shards], TRAIN)


def numbers(batches):
    return [features[:, 0, 0, 0].int().tolist() for features, _ in batches]


def test_clips_are_read_in_the_order_asked_for_from_memory_or_files(tmp_path):
    order = np.array([9, 3, 8, 0, 11])
    for data in (numbered(12), numbered(12, tmp_path)):
        features, labels = data.gather(order)
        assert features[:, 0, 0, 0].tolist() == order.tolist()
        assert labels.tolist() == [1, 0, 1, 0, 1]
        assert data.take(order)[0][:, 0, 0, 0].tolist() == sorted(order)


def test_an_epoch_holds_every_clip_once_in_an_order_of_its_own():
    data = numbered(2 * BLOCK + 3)
    batches = Batches(data, 10, seed=1)
    epochs = []
    for batches.epoch in (1, 2, 1):
        epochs.append(numbers(batches))
        assert len(epochs[-1]) == len(batches)
        assert {len(batch) for batch in epochs[-1][:-1]} == {10}
        assert sorted(chain.from_iterable(epochs[-1])) == list(range(len(data)))
    assert epochs[0] == epochs[2]
    assert epochs[0] != epochs[1]
    assert numbers(Batches(data, 10))[0] == list(range(10))


@pytest.mark.parametrize("n", [40, 41, 43])
def test_processes_share_out_each_batch(n):
    data = numbered(n)
    whole = numbers(Batches(data, 8, seed=1))
    shares = [numbers(Batches(data, 8, seed=1, rank=rank, world=4)) for rank in range(4)]
    assert {len(share) for share in shares} == {len(whole)}
    for batch, *parts in zip(whole, *shares, strict=True):
        assert set(batch) <= set(chain.from_iterable(parts))
        assert len({len(part) for part in parts}) == 1


def test_masks_are_bands_of_zeros_of_at_most_the_size_asked_for():
    torch.manual_seed(0)
    clips = torch.ones(200, 1, 20, 10)
    assert torch.equal(mask(clips, 0, 0), clips)
    masked = mask(clips, 6, 3)[:, 0] == 0
    frames, bands = masked.all(2).sum(1), masked.all(1).sum(1)
    assert torch.equal(masked, masked.all(2)[:, :, None] | masked.all(1)[:, None, :])
    assert set(frames.tolist()) == set(range(6))
    assert set(bands.tolist()) == set(range(3))
    for row in masked.all(2):
        assert row.int().diff().abs().sum() <= 2, "in one piece"
    assert torch.equal(clips, torch.ones_like(clips))


def test_a_mixture_is_mostly_the_clip_itself():
    torch.manual_seed(0)
    clips = torch.eye(6).reshape(6, 1, 6, 1)
    shares = []
    for _ in range(50):
        mixed, other, share = mixup(clips, 0.4)
        assert torch.allclose(mixed, share * clips + (1 - share) * clips[other])
        shares.append(share)
    assert 0.5 <= min(shares) < 0.6
    assert max(shares) > 0.95


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_learning_rate_rises_then_falls_or_stays(params, schedule):
    cfg = params.train.model_copy(update={"schedule": schedule, "warmup_share": 0.2})
    rates = [factor(step, 100, cfg) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 21)
    assert np.all(np.diff(rates[:20]) > 0)
    assert rates[20] == 1
    if schedule == "constant":
        assert set(rates[20:]) == {1}
    else:
        assert np.all(np.diff(rates[20:]) < 0)
        assert rates[60] == pytest.approx(0.5)
        assert rates[99] < 0.001


def test_balanced_weights_make_all_labels_count_the_same():
    labels = np.array([0, 0, 0, 1, 2, 2])
    weights = balanced(labels)
    assert (weights * torch.tensor([3, 1, 2])).tolist() == pytest.approx([2, 2, 2])


def test_the_defaults_are_adam_with_a_cosine_on_plain_cross_entropy(params, train_toy):
    """The same steps in a plain loop: float32 rounds differently in another layout, nothing else differs."""
    train, val = train_toy.data
    torch.manual_seed(3)
    network = build_model(params.model, params.features.n_frames, params.features.n_mels, N_LABELS)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 3 * 6)
    expected = []
    for epoch in (1, 2, 3):
        losses = []
        for features, labels in Batches(train, 16, seed=1, epoch=epoch):
            loss = cross_entropy(network(features.float()), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
            losses.append(loss.item())
        network.eval()
        features, labels = val.take(np.arange(len(val)))
        with torch.no_grad():
            val_loss = cross_entropy(network(torch.from_numpy(features)), torch.from_numpy(labels))
        network.train()
        expected.append((np.mean(losses), val_loss.item()))
    found = [(row.train_loss, row.val_loss) for row in train_toy().epochs]
    assert np.allclose(found, expected, rtol=0.01)


ALL = {
    "warmup_share": 0.3,
    "weight_decay": 0.01,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "margin": 1.0,
    "class_weights": "balanced",
    "mixup_alpha": 0.2,
    "time_mask": 10,
    "freq_mask": 4,
}
"""Everything that is off when training from nothing."""


@pytest.mark.parametrize("changes", [{}, ALL])
def test_training_learns_and_repeats_itself(train_toy, changes):
    reported = []
    one, other = (
        train_toy(lambda rows, kept: reported.append((list(rows), kept)), **changes),
        train_toy(**changes),
    )
    assert one.epochs == other.epochs
    assert same(one.state, other.state)
    assert one.epochs[-1].val_accuracy > 0.9
    assert [rows for rows, _ in reported] == [one.epochs[: i + 1] for i in range(3)]
    assert reported[-1][1] == min(one.epochs, key=lambda row: row.val_loss)


@pytest.mark.parametrize("name", ALL)
def test_every_switch_changes_the_result(train_toy, name):
    if name == "class_weights":
        train_toy.data[0].labels[:5] = 3
    plain = train_toy(epochs=1)
    assert not same(train_toy(epochs=1, **{name: ALL[name]}).state, plain.state)


def test_a_keyword_must_win_by_the_margin_and_the_background_need_not(params):
    cfg = params.train.model_copy(update={"margin": 2.0})
    task = Task(torch.nn.Identity(), *toy(params.features), cfg, 1, background=0)
    logits = torch.tensor([[1.0, 3.0, 0.0], [3.0, 1.0, 0.0]])
    keyword, background = torch.tensor([1]), torch.tensor([0])
    lowered = torch.tensor([[1.0, 1.0, 0.0]])
    assert task.cost(logits[:1], keyword) == cross_entropy(lowered, keyword)
    assert task.cost(logits[1:], background) == cross_entropy(logits[1:], background)


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_training_stops_early_and_keeps_the_best_weights(train_toy, monitor):
    best = train_toy(monitor=monitor, epochs=30, lr=0.03, schedule="constant", patience=2, min_delta=0.5)
    values = [getattr(row, monitor) * (1 if monitor == "val_loss" else -1) for row in best.epochs]
    kept = len(values) - 3
    assert len(values) < 30
    assert min(values[kept + 1 :]) >= values[kept] - 0.5


class Killed(BaseException):
    """What ends a training in these tests."""


def killed_in(epoch):
    def on_epoch(rows, _):
        if len(rows) == epoch:
            raise Killed

    return on_epoch


@pytest.mark.parametrize("changes", [{}, ALL, {"patience": 1, "min_delta": 0.5, "epochs": 9}])
def test_an_interrupted_training_ends_as_an_undisturbed_one_to_the_bit(train_toy, tmp_path, changes):
    undisturbed = train_toy(**changes)
    path = tmp_path / "resume.ckpt"
    for epoch in range(2, len(undisturbed.epochs) + 1):
        with pytest.raises(Killed):
            train_toy(killed_in(epoch), path, **changes)
    reported = []
    resumed = train_toy(lambda rows, _: reported.append(len(rows)), path, **changes)
    assert reported == list(range(len(undisturbed.epochs) - 1, len(undisturbed.epochs) + 1))
    assert resumed.epochs == undisturbed.epochs
    assert same(resumed.state, undisturbed.state)
    torch.load(path, weights_only=True)
    again = train_toy(resume=path, **changes)
    assert again.epochs == undisturbed.epochs, "nothing is left to do"
    assert same(again.state, undisturbed.state)


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"junk" * 100])
def test_a_spoiled_file_is_left_aside_with_a_warning(train_toy, tmp_path, spoil):
    path = tmp_path / "resume.ckpt"
    undisturbed = train_toy(resume=path, epochs=1)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"resume\.ckpt: cannot be read; training starts from the beginning"):
        assert same(train_toy(resume=path, epochs=1).state, undisturbed.state)


def test_the_fingerprint_follows_content_and_values_not_time(tmp_path):
    path = tmp_path / "features.npy"
    path.write_bytes(b"one")
    first = fingerprint([path], 1, {"lr": 0.1})
    os.utime(path, (0, 0))
    assert fingerprint([path], 1, {"lr": 0.1}) == first
    assert fingerprint([path], 1, {"lr": 0.2}) != first
    path.write_bytes(b"two")
    assert fingerprint([path], 1, {"lr": 0.1}) != first


def test_a_loss_that_is_no_number_is_an_error_that_names_the_parameter(params, train_toy):
    train, val = train_toy.data
    broken = replace(train, shards=[shard * np.float16(np.inf) for shard in train.shards])
    network = build_model(params.model, 98, 64, N_LABELS)
    with pytest.raises(UserError, match=r"train\.lr: with 0\.001 the loss was nan in epoch 1; lower it"):
        fit(network, broken, val, params.train, params.trainer, 1, 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_one_line(params, train_toy):
    with pytest.raises(UserError, match=r"^trainer: .*") as error:
        train_toy(machine=params.trainer.model_copy(update={"accelerator": "gpu"}))
    assert "\n" not in str(error.value)


def test_bfloat16_learns_too(params, train_toy):
    machine = params.trainer.model_copy(update={"precision": "bf16"})
    best = train_toy(machine=machine)
    assert best.epochs[-1].val_accuracy > 0.9
    assert {value.dtype for value in best.state.values()} == {torch.float32, torch.int64}


@pytest.fixture
def project(request, tmp_path, params):
    """A folder with parameters and toy clips of two labels, as the stages before training leave it."""
    shutil.copytree(ROOT / "data/encoder", tmp_path / "data/encoder")
    overrides = [f"model={getattr(request, 'param', 'crnn_mean')}"]
    overrides += ["labels=[UNO,RUIDO]", "background=RUIDO", "train.epochs=4", "train.batch_size=16"]
    compose(ROOT / "conf", tmp_path / "params.yaml", overrides)
    random = np.random.default_rng(0)
    for folder in ("features", "heard"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for index, name in enumerate(("UNO", "RUIDO", "_hard")):
        shard = random.standard_normal((40, params.features.n_frames, params.features.n_mels))
        shard[:, :, 8 * index : 8 * index + 4] += 1
        np.save(tmp_path / f"data/features/{name}.npy", shard.astype(np.float16))
        heard = random.standard_normal((40, EMBEDDING)).astype(np.float32)
        np.save(tmp_path / f"data/heard/{name}.npy", heard / np.linalg.norm(heard, axis=1)[:, None])
        (tmp_path / "data/clips" / name).mkdir(parents=True)
        splits = [TRAIN] * 32 + [VAL] * 8
        (tmp_path / "data/clips" / name / "manifest.csv").write_text("\n".join(["split", *splits, ""]))
    return tmp_path


def start(project):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "stages.train"], cwd=project, env=environment, **pipes)


def finish(project):
    stage = start(project)
    out, err = stage.communicate()
    assert stage.returncode == 0, out + err
    return out, err


def change(project, old, new):
    text = (project / "params.yaml").read_text()
    assert old in text
    (project / "params.yaml").write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("project", ["crnn_mean", "encoder"], indirect=True)
def test_a_killed_stage_goes_on_and_ends_with_the_same_weights_to_the_bit(project):
    other = shutil.copytree(project, project / "other")
    out, err = finish(other)
    assert err == ""
    assert [line.split(" · ")[0] for line in out.splitlines()] == [f"epoch   {i}" for i in range(1, 5)]
    assert out.count("clips/s") == 4
    stage = start(project)
    while not stage.stdout.readline().startswith("epoch   2"):
        assert stage.poll() is None, stage.stderr.read()
    os.kill(stage.pid, signal.SIGKILL)
    stage.communicate()
    assert len(list((project / "models/.resume").iterdir())) in (1, 2)
    assert not (project / "models/kws.pt").exists()
    out, err = finish(project)
    assert out.startswith("going on after epoch ")
    assert err == ""
    for name in ("models/kws.pt", "reports/training.csv", "reports/live/metrics.json"):
        assert (project / name).read_bytes() == (other / name).read_bytes(), name
    assert not (project / "models/.resume").exists()
    rows = list(csv.reader((project / "reports/training.csv").read_text().splitlines()))
    assert rows[0] == ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3", "4"]
    written = {p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file()}
    assert {p for p in written if not p.startswith(("data/", "other/"))} == {
        "params.yaml",
        "models/kws.pt",
        "reports/training.csv",
        "reports/live/metrics.json",
    }


def change_array(path):
    array = np.load(path)
    np.save(path, array + array.dtype.type(0.01))


@pytest.mark.parametrize(
    ("project", "edit", "begins"),
    [
        ("crnn_mean", lambda _: None, "going on after epoch 1\n"),
        ("crnn_mean", lambda p: (p / "data/features/UNO.npy").touch(), "going on after epoch 1\n"),
        ("crnn_mean", lambda p: change(p, "lr: 0.001", "lr: 0.002"), "epoch   1 "),
        ("crnn_mean", lambda p: change(p, "\nseed: 1\n", "\nseed: 2\n"), "epoch   1 "),
        ("crnn_mean", lambda p: change_array(p / "data/features/UNO.npy"), "epoch   1 "),
        ("crnn_mean", lambda p: change_array(p / "data/heard/UNO.npy"), "going on after epoch 1\n"),
        ("encoder", lambda p: change_array(p / "data/heard/UNO.npy"), "epoch   1 "),
        ("encoder", lambda p: (p / "data/heard/UNO.npy").touch(), "going on after epoch 1\n"),
    ],
    indirect=["project"],
)
def test_another_parameter_or_other_data_starts_afresh(project, monkeypatch, capsys, edit, begins):
    monkeypatch.chdir(project)
    stage = importlib.import_module("stages.train")
    stage._live.cache_clear()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stage, "_record", killed_in(2))
        stage.main()
    edit(project)
    capsys.readouterr()
    stage.main()
    assert capsys.readouterr().out.startswith(begins)
    assert not (project / "models/.resume").exists()


def test_two_processes_share_the_work_and_one_writes_the_outputs(project):
    change(project, "devices: 1", "devices: 2")
    change(project, "strategy: auto", "strategy: ddp")
    out, err = finish(project)
    assert err == ""
    assert out.count("epoch") == 4
    trained = load_checkpoint(project / "models/kws.pt", load_params(project / "params.yaml").features)
    assert trained.labels == ["UNO", "RUIDO"]
    assert not (project / "models/.resume").exists()
