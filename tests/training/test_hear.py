"""What clips sound like to the shipped encoder, heard once: as to the network itself."""

import numpy as np
import pytest
import torch

from conftest import ROOT
from kws.common.errors import UserError
from kws.evaluation.halves import encoder_of
from kws.features.logmel import features
from kws.models.encoder import EMBEDDING
from kws.runtime.inference import Classifier, open_encoder
from kws.targets.export import to_onnx
from kws.training.hear import BATCH, hear_shard
from kws.training.transfer import load_encoder


@pytest.fixture(scope="module")
def weights():
    return load_encoder(ROOT / "data/encoder/encoder.pt")


@pytest.fixture(scope="module")
def encoder(weights):
    return Classifier(encoder_of(to_onnx(weights)).SerializeToString())


@pytest.fixture(scope="module")
def clips(front_end, fan):
    """Features of a fan, float16 [2 * BATCH + 1, 98, 64]: two batches, and a clip alone."""
    starts = range(0, 160 * (2 * BATCH + 1), 160)
    return np.stack([features(fan[s : s + 16000], front_end) for s in starts]).astype(np.float16)


def heard(encoder, clips, front_end, tmp_path):
    np.save(tmp_path / "features.npy", clips)
    hear_shard(encoder, tmp_path / "features.npy", tmp_path / "heard.npy", front_end)
    return np.load(tmp_path / "heard.npy", allow_pickle=False)


def test_a_clip_sounds_as_to_the_network(weights, encoder, clips, front_end, tmp_path):
    directions = heard(encoder, clips, front_end, tmp_path)
    with torch.inference_mode():
        expected = weights.network().embedding(torch.from_numpy(clips.astype(np.float32))[:, None]).numpy()
    assert (directions.shape, directions.dtype) == ((len(clips), EMBEDDING), np.float32)
    assert directions == pytest.approx(expected, abs=1e-5)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1, abs=1e-4)


def test_a_clip_sounds_the_same_beside_any_others_and_on_any_number_of_cores(
    encoder, clips, front_end, tmp_path, monkeypatch
):
    monkeypatch.setenv("KWS_WORKERS", "3")
    together = heard(encoder, clips, front_end, tmp_path)
    monkeypatch.setenv("KWS_WORKERS", "1")
    assert np.array_equal(heard(encoder, clips, front_end, tmp_path), together)
    assert np.array_equal(heard(encoder, clips[5:6], front_end, tmp_path), together[5:6])


def test_features_of_another_front_end_are_one_line(encoder, front_end, tmp_path):
    with pytest.raises(
        UserError, match=r"features\.npy: holds clips of 98 frames and 40 bands, expected 98 and 64"
    ):
        heard(encoder, np.zeros((2, 98, 40), np.float16), front_end, tmp_path)


def test_a_graph_that_cannot_be_loaded_is_one_line(tmp_path):
    (tmp_path / "encoder.onnx").write_bytes(b"hello")
    with pytest.raises(UserError, match=r"encoder\.onnx: cannot be loaded \(.*run `dvc repro -f encoder`"):
        open_encoder(tmp_path / "encoder.onnx")


def test_without_an_encoder_there_is_no_graph(tmp_path):
    (tmp_path / "encoder.onnx").touch()
    assert open_encoder(tmp_path / "encoder.onnx") is None
