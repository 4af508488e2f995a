"""What the encoder heard beforehand, and what it must not have heard."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

from conftest import RATE, ROOT, SEEDS
from kws.augment.recipe import Recipe
from kws.augment.render import render
from kws.augment.sources import Sources, empty_bank, read_bank, read_words
from kws.evaluation.recordings import centre
from kws.features.logmel import features
from kws.recordings.audio import read_recording
from kws.recordings.word import find_word
from kws.training.checkpoint import load_checkpoint
from pretrain.clips import alone
from pretrain.denoise import said
from pretrain.fit import warp
from pretrain.speak import PIECE, write_speech
from pretrain.stamps import KEPT_OUT, plain, says_its_text
from pretrain.voices import HELD_OUT, speak, words
from pretrain.within import within_class

LISTS = ("words", "people")


def test_no_word_of_the_evaluation_was_heard_before():
    keywords = {path.name.lower() for path in (ROOT / "data/eval/words").iterdir()}
    near_misses = {path.stem for path in (ROOT / "data/eval/near_misses").glob("*/*")}
    digits = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
    assert len(keywords) == 7 and len(near_misses) == 22
    known = {plain(word) for name in LISTS for _, word in words(name)}
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


def test_the_projection_makes_the_clips_of_a_word_differ_alike_in_all_directions():
    random = np.random.default_rng(0)
    labels = torch.arange(40).repeat_interleave(50)
    centres = torch.from_numpy(random.standard_normal((40, 3))) * torch.tensor([1.0, 1.0, 5.0])
    spread = torch.from_numpy(random.standard_normal((2000, 3))) * torch.tensor([4.0, 1.0, 0.5])
    heard = (centres[labels] + spread).float()
    weight, bias = within_class(heard, labels)
    projected = heard @ weight.T + bias
    means = torch.zeros(40, 3).index_add_(0, labels, projected) / 50
    deviations = (projected - means[labels]).std(0)
    assert deviations.max() / deviations.min() < 3, "8 before"
    assert torch.allclose(projected.mean(0), torch.zeros(3), atol=1e-4)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_a_spoken_word_follows_from_its_number():
    (row, audio), (_, again) = (speak("espeak", "words", range(5, 6))[0] for _ in range(2))
    assert row["word"] == words("words")[5][1]
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


def test_a_clip_alone_is_the_same_voice_at_the_same_time_in_silence(params):
    words = {"SALIR": read_words("SALIR", SEEDS, ROOT / "data/none", RATE, 1.0)}
    augment = params.augment.model_copy(update={"p_noise": 1.0, "p_reverb": 1.0, "snr_range": [-6, 0]})
    rooms = np.random.default_rng(0).standard_normal((8, RATE // 4)) * np.exp(-np.arange(RATE // 4) / 500)
    sources = Sources(words, read_bank(SEEDS / "FONDO", RATE), empty_bank(), rooms.astype(np.float32))
    recipe = Recipe("SALIR", "SALIR", 30, {"keyword": 1}, 1, augment, RATE, RATE, sources)
    for clip in map(recipe.draw, range(30)):
        quiet = alone(clip)
        assert (quiet.start, quiet.semitones, quiet.duration) == (clip.start, clip.semitones, clip.duration)
        before, after = (render(row, sources, RATE, RATE).astype(np.float32) for row in (clip, quiet))
        silence = np.ones(RATE, bool)
        silence[clip.start : clip.start + clip.length] = False
        share_before, share_after = ((x[silence] ** 2).mean() / (x**2).mean() for x in (before, after))
        assert share_before > 0.1 and share_after < 0.01


def test_what_a_pupil_hears_comes_in_the_order_of_its_teacher():
    class Counting:
        def steps(self, features):
            return torch.arange(96 * 3).view(1, 96, 3, 1)

    heard = said(Counting(), torch.zeros(1))
    assert heard.tolist() == [[3 * channel + place for place in range(3) for channel in range(96)]]
