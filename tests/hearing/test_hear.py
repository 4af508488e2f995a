"""What clips sound like to the shipped encoder, heard once: the same as in the network that it is part of."""

import numpy as np
import onnx
import pytest
import torch

from conftest import ROOT
from kws.features.logmel import features
from kws.hearing.halves import encoder_of, head_of
from kws.hearing.hear import BLOCK, hear_shard, open_encoder
from kws.runtime.inference import Classifier
from kws.targets.export import to_onnx
from kws.training.transfer import load_encoder

WIDTH = 480


@pytest.fixture(scope="module")
def network():
    return load_encoder(ROOT / "data/encoder/encoder.pt")


@pytest.fixture(scope="module")
def whole(network):
    return to_onnx(network)


@pytest.fixture(scope="module")
def encoder(whole, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    onnx.save(encoder_of(whole), path)
    return path


@pytest.fixture(scope="module")
def clips(front_end, fan):
    """Features of a fan, float16 [BLOCK + 6, 98, 64]: more than one block."""
    starts = range(0, 160 * (BLOCK + 6), 160)
    return np.stack([features(fan[s : s + 16000], front_end) for s in starts]).astype(np.float16)


def heard(path, clips, front_end, tmp_path):
    np.save(tmp_path / "features.npy", clips)
    hear_shard(path, tmp_path / "features.npy", tmp_path / "heard.npy", front_end)
    return np.load(tmp_path / "heard.npy", allow_pickle=False)


def test_a_clip_sounds_as_in_torch_and_its_direction_has_length_one(
    network, encoder, clips, front_end, tmp_path
):
    directions = heard(encoder, clips, front_end, tmp_path)
    with torch.inference_mode():
        expected = network.network().embedding(torch.from_numpy(clips.astype(np.float32))[:, None])
    assert (directions.shape, directions.dtype) == ((len(clips), WIDTH), np.float32)
    assert np.abs(directions - expected.numpy()).max() < 1e-5
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1, abs=1e-4)


def test_a_clip_sounds_the_same_beside_any_others_and_on_any_number_of_cores(
    encoder, clips, front_end, tmp_path, monkeypatch
):
    monkeypatch.setenv("KWS_WORKERS", "3")
    together = heard(encoder, clips, front_end, tmp_path)
    monkeypatch.setenv("KWS_WORKERS", "1")
    assert np.array_equal(heard(encoder, clips, front_end, tmp_path), together)
    assert np.array_equal(heard(encoder, clips[5:7], front_end, tmp_path), together[5:7])


def test_both_halves_together_answer_as_the_whole_to_the_bit(whole, clips):
    encoder, head, model = (
        Classifier(graph.SerializeToString()) for graph in (encoder_of(whole), head_of(whole), whole)
    )
    few = clips[:8, None].astype(np.float32)
    assert np.array_equal(head.logits(encoder.logits(few)), model.logits(few))
    assert (encoder.n_labels, head.n_labels) == (WIDTH, model.n_labels)


def test_without_an_encoder_nothing_is_heard(clips, front_end, tmp_path):
    (tmp_path / "encoder.onnx").touch()
    assert open_encoder(tmp_path / "encoder.onnx") is None
    assert heard(tmp_path / "encoder.onnx", clips, front_end, tmp_path).shape == (0, 0)
