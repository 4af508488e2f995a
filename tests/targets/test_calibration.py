"""The archive Pulsar2 reads, the inputs the board reads, and the numbers that come of them."""

import csv
import io
import os
import pickle
import tarfile
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kws.board.inputs import read_inputs, write_inputs
from kws.common.errors import UserError
from kws.targets.benchmark import compare, summarise, time_calls
from kws.targets.calibration import read_tar, stratified, write_tar

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


def add(tar, name, content=b"", **header):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in header.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def claiming(shape):
    """Return one float under a header that claims more."""
    return npy(SAMPLES[:1])[:128].replace(b"(1, 1, 98, 64), }" + b" " * 40, f"{shape}, }}".encode().ljust(57))


NAN = SAMPLES[:1].copy()
NAN[0, 0, 5, 5] = np.nan
MEMBERS = {
    "a link": (b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "is no plain file"),
    "a loop": (b"", {"type": tarfile.SYMTYPE, "linkname": "a.npy"}, "is no plain file"),
    "a hard link": (b"", {"type": tarfile.LNKTYPE, "linkname": "a.npy"}, "is no plain file"),
    "a folder": (b"", {"type": tarfile.DIRTYPE}, "is no plain file"),
    "a device": (b"", {"type": tarfile.CHRTYPE}, "is no plain file"),
    "a pipe": (b"", {"type": tarfile.FIFOTYPE}, "is no plain file"),
    "text": (b"hello", {}, "holds no float32 array"),
    "nothing": (b"", {}, "holds no float32 array"),
    "a pickle": (pickle.dumps({"a": 1}), {}, "holds no float32 array"),
    "an array of objects": (npy(np.array([{}], object)), {}, "holds no float32 array"),
    "integers": (npy(np.zeros((1, 1, 98, 64), np.int16)), {}, "holds no float32 array"),
    "doubles": (npy(np.zeros((1, 1, 98, 8))), {}, "holds no float32 array"),
    "columns first": (npy(np.asfortranarray(SAMPLES[:1])), {}, "holds no float32 array"),
    "another shape": (
        npy(SAMPLES[:1, :, :40]),
        {},
        "has the shape (1, 1, 40, 64), the model takes (1, 1, 98, 64)",
    ),
    "a huge shape": (claiming("(1, 1, 999999999, 64)"), {}, "has the shape (1, 1, 999999999, 64)"),
    "half a sample": (npy(SAMPLES[:1])[:9000], {}, "is cut off"),
    "something after it": (npy(SAMPLES[:1]) + b"x", {}, "too long"),
    "two gigabytes": (b"", {"size": 2**31}, "is no plain file of a sample's size"),
    "no number": (npy(NAN), {}, "holds NaN"),
}


@pytest.mark.parametrize(("content", "header", "says"), MEMBERS.values(), ids=MEMBERS)
def test_a_member_that_is_no_sample_is_one_line(tmp_path, content, header, says):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "a.npy", content, **{k: v for k, v in header.items() if k != "size"})
    if "size" in header:
        data = bytearray(path.read_bytes())
        head = tarfile.TarInfo.frombuf(bytes(data[:512]), "utf-8", "strict")
        head.size = header["size"]
        data[:512] = head.tobuf()
        path.write_bytes(data)
        os.truncate(path, 512 + header["size"])  # sparse: as large as it says
    with pytest.raises(UserError) as caught:
        list(read_tar(path, SHAPE))
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path}: not a calibration archive for this model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello" * 500, b"\x1f\x8b" + bytes(600), bytes(10240)])
def test_what_is_no_archive_or_an_empty_one_is_one_line(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tar: not a calibration archive"):
        list(read_tar(tmp_path / "a.tar", SHAPE))


def test_a_path_that_leads_nowhere_is_one_line(tmp_path):
    (tmp_path / "loop.tar").symlink_to("loop.tar")
    (tmp_path / "folder.tar").mkdir()
    for name in ("loop.tar", "folder.tar", "none.tar"):
        with pytest.raises(UserError, match=rf"{name}: not a calibration archive"):
            list(read_tar(tmp_path / name, SHAPE))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    at=st.integers(0, 2 * 512 + 128) | st.integers(0, 51200),
    spoilt=st.binary(max_size=40),
    kept=st.floats(0, 1) | st.just(1.0),
)
def test_no_bytes_in_an_archive_are_more_than_one_line(tmp_path, at, spoilt, kept):
    path = tmp_path / "a.tar"
    write_tar(path, SAMPLES[:2])
    data = bytearray(path.read_bytes())
    data[at : at + len(spoilt)] = spoilt
    path.write_bytes(data[: round(kept * len(data))])
    try:
        for sample in read_tar(path, SHAPE):
            assert (sample.shape, sample.dtype) == (SHAPE, np.float32)
            assert np.isfinite(sample).all()
    except UserError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)


FIELDS = ("name", "mode", "uid", "gid", "size", "mtime", "chksum", "type", "linkname", "magic", "devmajor")
AT = dict(zip(FIELDS, ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (148, 8), (156, 1),
                       (157, 100), (257, 8), (329, 8)), strict=True))  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    field=st.sampled_from(FIELDS),
    value=st.binary(max_size=12)
    | st.sampled_from([b"x", b"g", b"L", b"K", b"S", b"1", b"2", b"77777777777\0", b"\x80" + b"\xff" * 11]),
)
def test_no_field_of_a_header_is_more_than_one_line(tmp_path, field, value):
    """With a checksum that is right: what somebody wrote on purpose."""
    path = tmp_path / "a.tar"
    write_tar(path, SAMPLES[:2])
    data = bytearray(path.read_bytes())
    start, width = AT[field]
    data[start : start + width] = value[:width].ljust(width, b"\0")
    if field != "chksum":
        data[148:156] = b" " * 8
        data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    path.write_bytes(data)
    try:
        assert len(list(read_tar(path, SHAPE))) in (1, 2)
    except UserError as error:
        assert "\n" not in str(error)


def test_an_archive_that_is_cut_between_two_samples_is_no_shorter_one(tmp_path):
    path = tmp_path / "a.tar"
    write_tar(path, np.zeros((3, *SHAPE[1:]), np.float32))
    assert len(list(read_tar(path, SHAPE))) == 3
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1].offset
    os.truncate(path, last)
    with pytest.raises(UserError, match="it is cut off"):
        list(read_tar(path, SHAPE))


def test_a_name_that_stands_twice_in_an_archive_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for _ in range(2):
            add(tar, "a.npy", npy(SAMPLES[:1]))
    with pytest.raises(UserError, match="holds one name twice"):
        list(read_tar(tmp_path / "a.tar", SHAPE))
