"""A checkpoint that is spoilt is refused in one line, before anything is built of it or trained on it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from kws.common.errors import UserError
from kws.models import build_model
from kws.params.sections import CrnnModel, EncoderModel, TcresnetModel
from kws.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from kws.training.transfer import load_encoder

LABELS = ["SI", "NO", "FONDO"]
MODEL = TcresnetModel(name="tcresnet", channels=[4, 4], kernel=3)


@pytest.fixture(scope="module")
def whole(front_end):
    torch.manual_seed(0)
    network = build_model(MODEL, front_end.n_frames, front_end.n_mels, len(LABELS))
    return Checkpoint(network.state_dict(), LABELS, MODEL, front_end)


def state(checkpoint, **changes):
    """The checkpoint with some weights changed; None takes them away."""
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    kept = {name: value for name, value in (checkpoint.state | changed).items() if value is not None}
    return replace(checkpoint, state=kept)


def load(checkpoint, path):
    save_checkpoint(checkpoint, path)
    return load_checkpoint(path)


def test_weights_that_are_missing_wrong_or_too_many_are_named(whole, tmp_path):
    name = next(name for name, value in whole.state.items() if value.is_floating_point())
    shape = whole.state[name].shape
    for value, message in (
        (None, f"lacks the weights {name}"),
        (torch.zeros(7, 7), rf"{name} has the shape \[7, 7\], expected"),
        (torch.full(shape, float("nan")), "holds other numbers than weights are"),
        (torch.zeros(shape, dtype=torch.int64), "holds other numbers than weights are"),
        (torch.zeros(shape, dtype=torch.complex64), "is no array of numbers"),
        (torch.zeros(shape).to_sparse(), "has the shape"),
        (torch.empty(shape, device="meta"), "is no array of numbers"),
        ([1.0], "is no array of numbers"),
    ):
        with pytest.raises(UserError, match=rf"kws\.pt: not a checkpoint of this version \(.*{message}"):
            load(state(whole, **{name: value}), tmp_path / "kws.pt")
    with pytest.raises(UserError, match=r"holds the weights more\.bias, which tcresnet has not"):
        load(state(whole, more__bias=torch.zeros(1)), tmp_path / "kws.pt")
    save_checkpoint(whole, tmp_path / "kws.pt")
    (tmp_path / "kws.pt").write_bytes((tmp_path / "kws.pt").read_bytes()[:5000])
    with pytest.raises(UserError, match=r"kws\.pt: not a checkpoint of this version; train again"):
        load_checkpoint(tmp_path / "kws.pt")
    with pytest.raises(UserError, match=r"kws\.pt: No such file or directory; train again"):
        load_checkpoint(tmp_path / "none/kws.pt")


def test_labels_of_a_checkpoint_are_names(whole, tmp_path):
    with pytest.raises(UserError, match="a label has letters, digits"):
        load(replace(whole, labels=["SI", "NO", "../x"]), tmp_path / "kws.pt")
    with pytest.raises(UserError, match=r"labels\[2\] is 7, expected a text"):
        load(replace(whole, labels=["SI", "NO", 7]), tmp_path / "kws.pt")


def test_reading_takes_nothing_from_the_random_numbers_of_training(whole, tmp_path):
    save_checkpoint(whole, tmp_path / "kws.pt")
    before = torch.get_rng_state()
    load_checkpoint(tmp_path / "kws.pt")
    load_encoder(ROOT / "data/encoder/encoder.pt")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_shipped_encoder_is_restored_and_not_trained_again(whole, front_end, tmp_path):
    path = tmp_path / "encoder.pt"
    whole_encoder = load_encoder(ROOT / "data/encoder/encoder.pt")
    name = next(iter(whole_encoder.state))
    for spoil, message in (
        (lambda: path.write_bytes(b"junk"), "not a checkpoint of this version"),
        (lambda: save_checkpoint(state(whole_encoder, **{name: None}), path), "lacks the weights"),
        (lambda: save_checkpoint(whole, path), "holds the weights of tcresnet, expected encoder"),
        (path.unlink, "No such file"),
    ):
        spoil()
        with pytest.raises(
            UserError, match=rf"{message}.*; restore it with `git checkout -- .*encoder\.pt`$"
        ):
            load_encoder(path)


PLAIN = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.lists(st.integers(0, 2**40), max_size=3)
    | st.just(torch.zeros(2))
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_content_gives_a_checkpoint_or_one_line(whole, tmp_path, data):
    """Bytes, and good checkpoints of which one part has another value, with a network of any legal size."""
    path = tmp_path / "kws.pt"
    save_checkpoint(whole, path)
    if data.draw(st.booleans()):
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(0, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    else:
        plain = torch.load(path, weights_only=True)
        part = data.draw(st.sampled_from(["state", "labels", "model", "front_end", "versions", "more"]))
        if isinstance(plain.get(part), dict) and data.draw(st.booleans()):
            plain[part][data.draw(st.sampled_from(sorted(plain[part])) | st.integers())] = data.draw(PLAIN)
        else:
            plain[part] = data.draw(PLAIN | MODELS)
        torch.save(plain, path)
    try:
        checkpoint = load_checkpoint(path)
    except UserError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert checkpoint.network() is not None


COUNT = st.integers(1, 1024)
MODELS = (
    st.builds(
        lambda channels, hidden, pool: CrnnModel(
            name="crnn", channels=list(channels), hidden=hidden, pool=pool
        ).model_dump(),
        st.tuples(COUNT, COUNT),
        COUNT,
        st.sampled_from(["mean", "last"]),
    )
    | st.builds(
        lambda channels: TcresnetModel(name="tcresnet", channels=channels, kernel=9).model_dump(),
        st.lists(COUNT, min_size=2, max_size=8),
    )
    | st.builds(lambda n: EncoderModel(name="encoder", prototypes=n).model_dump(), st.integers(1, 8192))
    | st.just({"name": "dscnn", "channels": 1024, "blocks": 64, "kernel": (9, 9), "stride": (1, 1)})
)
