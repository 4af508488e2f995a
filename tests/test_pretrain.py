"""What the encoder heard beforehand, and what it must not have heard."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

from conftest import RATE, ROOT
from kws.evaluation.recordings import centre
from kws.features.logmel import features
from kws.models.encoder import Encoder
from kws.recordings.audio import read_recording
from kws.recordings.word import find_word
from kws.training.checkpoint import load_checkpoint
from pretrain import teach
from pretrain.bank import may_be_heard
from pretrain.fit import LOUDER, Clips, louder, parts, project, start_from, warp
from pretrain.speak import PIECE, write_speech
from pretrain.stamps import KEPT_OUT, plain, says_its_text
from pretrain.voices import FLITE, HELD_OUT, speak, words


def test_no_word_of_the_evaluation_was_heard_before():
    keywords = {path.name.lower() for path in (ROOT / "data/eval/words").iterdir()}
    near_misses = {path.stem for path in (ROOT / "data/eval/near_misses").glob("*/*")}
    digits = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
    assert len(keywords) == 7 and len(near_misses) == 22
    known = {plain(word) for _, word in words()}
    assert known.isdisjoint(keywords | near_misses | digits)
    assert all(KEPT_OUT.search(word) for word in keywords | near_misses | digits)
    assert KEPT_OUT.search(plain("La puerta principal")) and not KEPT_OUT.search(plain("Una rana"))


def test_a_recording_that_says_less_or_more_than_its_text_is_no_phrase():
    word = read_recording(ROOT / "data/seeds/ACOPLAR/000_acoplar.wav", RATE)
    pause = np.zeros(RATE // 2, np.float32)
    assert says_its_text("Acoplar", word)
    assert not says_its_text("Acoplar, y después cancelar", word)
    assert not says_its_text("Acoplar", np.concatenate([word, pause, word]))


def test_no_voice_of_the_evaluation_was_heard_before():
    assert {path.stem for path in (ROOT / "data/eval/words").glob("*/*")} <= HELD_OUT
    assert "em_alex" in HELD_OUT, "the voice of the shipped recordings"


def test_the_shipped_encoder_tells_words_it_was_never_taught_by_voices_it_never_heard(params):
    """Nearest by direction to the seven recordings as they are, no training at all."""
    encoder = load_checkpoint(ROOT / "data/encoder/encoder.pt", params.features).network()
    keywords = params.keywords

    def directions(paths):
        clips = [read_recording(path, RATE) for path in paths]
        middle = [centre(clip, find_word(clip, RATE, 1.0), RATE) for clip in clips]
        heard = np.stack([features(clip, params.features) for clip in middle])
        with torch.inference_mode():
            return encoder.embedding(torch.from_numpy(heard)[:, None])

    seeds = directions([next((ROOT / "data/seeds" / keyword).iterdir()) for keyword in keywords])
    words = [(i, p) for i, k in enumerate(keywords) for p in sorted((ROOT / "data/eval/words" / k).iterdir())]
    heard = directions([path for _, path in words])
    assert torch.allclose(heard.norm(dim=1), torch.ones(len(words)), atol=1e-4)
    nearest = (heard @ seeds.T).argmax(1)
    assert (nearest == torch.tensor([i for i, _ in words])).float().mean() > 0.9


@pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")
def test_flite_says_the_english_words_alone():
    spoken = speak("flite", range(8))
    assert {row["language"] for row, _ in spoken} == {"en"}
    assert {row["voice"] for row, _ in spoken} <= set(FLITE)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_a_spoken_word_follows_from_its_number():
    (row, audio), (_, again) = (speak("espeak", range(5, 6))[0] for _ in range(2))
    assert row["word"] == words()[5][1]
    assert np.array_equal(audio, again)
    assert 0.15 * RATE <= len(audio) <= 1.1 * RATE


def test_speech_is_written_in_whole_pieces_one_after_another(tmp_path, monkeypatch):
    monkeypatch.setattr("pretrain.speak.SPEECH", tmp_path)
    said = np.random.default_rng(0).integers(-999, 999, 2 * PIECE + 1).astype(np.int16)
    write_speech("people/anna", said)
    files = sorted((tmp_path / "people").iterdir())
    assert [path.name for path in files] == ["anna_0000.flac", "anna_0001.flac"]
    heard = np.concatenate([soundfile.read(path, dtype="int16")[0] for path in files])
    assert np.array_equal(heard, said[: 2 * PIECE])


def test_each_clip_is_stretched_and_moved_a_little_in_its_own_way():
    torch.manual_seed(0)
    clips = torch.zeros(64, 1, 98, 64)
    clips[:, :, 44:54, 29:35] = 1
    warped = warp(clips)
    places = (warped[:, 0] > 0.5).nonzero()[:, 1:]
    assert not torch.equal(warped[0], warped[1]) and warped.shape == clips.shape
    assert (places.amin(0) >= torch.tensor([34, 25])).all()
    assert (places.amax(0) <= torch.tensor([63, 38])).all()


@pytest.mark.parametrize(
    ("language", "word", "heard"),
    [
        ("es", "words/cat", True),
        ("es", "words/kitchen", False),  # cocina
        ("de", "words/kitchen", True),
        ("pt_BR", "misc/repeat", False),
        ("en", "three", False),
        ("en", "alphabet/letter U0033", False),
        ("fr", "alphabet/letter U0033", True),
        ("es", "kt_música", False),
    ],
)
def test_of_peoples_words_those_that_may_be_the_evaluations_are_left_out(language, word, heard):
    assert may_be_heard(language, word) == heard


def test_a_teacher_hears_a_word_in_the_middle_of_faint_noise():
    word = np.full(1001, 0.5, np.float32)
    heard = teach.alone(word, 4000)
    assert heard.shape == (4000,) and np.abs(heard[:1400]).max() < 0.01 < 0.49 < heard[1600:2400].min()
    assert np.abs(heard[:1400]).max() > 0
    assert np.allclose(teach.alone(np.arange(10, dtype=np.float32), 4), [3, 4, 5, 6], atol=0.1)


def test_so_much_of_a_cosine_is_by_each_part_of_the_former_encoder():
    heard = np.random.default_rng(0).standard_normal((5, 480), np.float32)
    weighed = teach.weigh(heard)
    assert np.allclose((weighed[:, : teach.FIRST] ** 2).sum(1), 1 - teach.SECOND, atol=1e-5)
    assert np.allclose((weighed**2).sum(1), 1, atol=1e-5)


def test_each_teacher_has_its_share_of_a_cosine():
    one, other = (np.eye(4, dtype=np.float32)[[index]] for index in (0, 1))
    alike = [
        float((teach.join(*first) @ teach.join(*([one] * 3)).T).item())
        for first in ((one, other, other), (other, other, one))
    ]
    assert np.allclose(alike, [teach.SHARES["wordnet"], teach.SHARES["latest"]])


def test_an_encoder_starts_with_what_a_smaller_one_knew():
    torch.manual_seed(0)
    former, encoder = Encoder(1, 64, 2).eval(), Encoder(1, 64, 2).eval()
    state = {name: value for name, value in former.state_dict().items() if ".time.4." not in name}
    state["words.embed.0.0.weight"] = state["words.embed.0.0.weight"][:192]
    start_from(encoder, state)
    clips = torch.randn(2, 1, 98, 64)
    with torch.no_grad():
        assert torch.equal(encoder.speech.steps(clips), former.speech.steps(clips))
        merged = former.words.merge(former.words.bands(clips))
        assert torch.equal(encoder.words.steps(clips), former.words.time[:4](merged)), (
            "a new block changes nothing"
        )
        assert torch.equal(encoder.words.embed[0][0].weight[:192], former.words.embed[0][0].weight[:192])


def test_projections_start_near_the_teachers():
    heard = np.random.default_rng(0).standard_normal((1000, 98, 64)).astype(np.float16)
    torch.manual_seed(0)
    teacher, pupil = Encoder(1, 64, 2).eval(), Encoder(1, 64, 2).eval()
    known = {name: value for name, value in teacher.state_dict().items() if "project" not in name}
    pupil.load_state_dict(pupil.state_dict() | known)
    with torch.no_grad():
        taught = teacher.embedding(torch.from_numpy(heard[:, None]).float())
        project(pupil, Clips(heard, np.full(1000, -1), taught.numpy().astype(np.float16)), np.arange(900))
        near = torch.cosine_similarity(
            pupil.embedding(torch.from_numpy(heard[900:, None]).float()), taught[900:]
        )
    assert near.mean() > 0.9


def test_two_encoders_each_give_a_part(tmp_path):
    states = [Encoder(1, 64, 2).state_dict() for _ in range(2)]
    paths = [tmp_path / "words.pt", tmp_path / "speech.pt"]
    for path, state in zip(paths, states, strict=True):
        torch.save({"state": state}, path)
    found = parts(*paths)
    assert torch.equal(found["words.project.weight"], states[0]["words.project.weight"])
    assert torch.equal(found["speech.project.weight"], states[1]["speech.project.weight"])
    assert not any(name.startswith("head.") for name in found)


def test_speech_is_made_louder_in_a_copy():
    encoder, clips = Encoder(1, 64, 2).eval(), torch.randn(2, 1, 98, 64)
    with torch.inference_mode():
        changed = louder(encoder)
        assert torch.allclose(changed.speech(clips), LOUDER * encoder.speech(clips), atol=1e-5)
        assert torch.equal(changed.words(clips), encoder.words(clips))
