"""The archive Pulsar2 reads, the inputs the board reads, and the numbers that come of them."""

import csv
import io
import tarfile
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.benchmark import compare, summarise, time_calls
from kws.board import read_inputs, write_inputs
from kws.calibration import read_tar, stratified, write_tar
from kws.errors import UserError

SAMPLES = np.random.default_rng(0).standard_normal((12, 1, 98, 64)).astype(np.float32)
SHAPE = (1, 1, 98, 64)


def test_the_archive_is_flat_float32_and_in_order(tmp_path):
    write_tar(tmp_path / "calib_kws.tar", SAMPLES)
    with tarfile.open(tmp_path / "calib_kws.tar") as tar:
        members = tar.getmembers()
        first = np.load(io.BytesIO(tar.extractfile(members[0]).read()), allow_pickle=False)
    assert [m.name for m in members] == [f"input_{i:05d}.npy" for i in range(12)]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
    assert (first.shape, first.dtype.str) == ((1, 1, 98, 64), "<f4")
    assert np.array_equal(np.concatenate(list(read_tar(tmp_path / "calib_kws.tar", SHAPE))), SAMPLES)


def test_the_archive_is_reproducible_to_the_byte(tmp_path):
    write_tar(tmp_path / "a.tar", SAMPLES)
    time.sleep(1.1)
    write_tar(tmp_path / "b.tar", SAMPLES.astype(np.float64).astype(np.float32))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    share=st.floats(0.05, 1),
    seed=st.integers(0, 9),
)
def test_labels_are_as_even_as_their_clips_allow(counts, share, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    size = max(1, round(share * len(labels)))
    chosen = stratified(labels, size, seed)
    assert len(np.unique(chosen)) == size
    taken = np.bincount(labels[chosen], minlength=len(counts))
    spare = [t for t, n in zip(taken, counts, strict=True) if t < n]
    if spare:
        assert max(taken) - min(spare) <= 1


def test_more_samples_than_clips_is_an_error():
    with pytest.raises(UserError, match=r"calib\.samples is 5, but there are only 4 training clips"):
        stratified(np.zeros(4, np.int64), 5, 1)


def test_board_inputs_are_raw_floats_and_the_list_has_lf_only(tmp_path):
    write_inputs(tmp_path, SAMPLES, ["SI", "NO"] * 6, [f"{i}.wav" for i in range(12)])
    assert (tmp_path / "list.txt").read_bytes() == b"".join(b"%d\n" % i for i in range(12))
    raw = (tmp_path / "input/3/input.bin").read_bytes()
    assert len(raw) == 25_088
    assert np.array_equal(np.frombuffer(raw, "<f4").reshape(98, 64), SAMPLES[3, 0])
    with (tmp_path / "labels.csv").open(newline="") as file:
        assert list(csv.DictReader(file))[3] == {"index": "3", "label": "NO", "file": "3.wav"}
    features, labels = read_inputs(tmp_path, (98, 64), ["NO", "SI"])
    assert np.array_equal(features, SAMPLES)
    assert labels.tolist() == [1, 0] * 6


def test_latency_is_measured_after_the_warm_up():
    calls = []
    times = time_calls(lambda: calls.append(time.sleep(0.002)), warmup=3, repeat=5)
    assert len(calls) == 8
    assert (times >= 2).all()


def test_percentiles_are_real():
    summary = summarise(np.arange(1, 101, dtype=float))
    assert summary == {"min": 1, "mean": 50.5, "p50": 50.5, "p95": 95.05, "p99": 99.01, "max": 100}


def test_comparison_by_hand():
    reference = np.array([[3, 0], [0, 3], [3, 0], [0, 3]], np.float32)
    compiled = np.array([[3, 0], [0, 3], [0, 3], [0, 6]], np.float32)
    scores = compare(reference, compiled, np.array([0, 1, 0, 0]))
    assert scores == {"top1_agreement": 0.75, "cosine": 0.75, "accuracy": 0.5, "accuracy_drop": 0.25}
