"""The page about a run: true numbers in plain words, charts that draw, sounds that play, no other site."""

import base64
import contextlib
import dataclasses
import io
import json
import shutil
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

from conftest import RATE, ROOT
from kws.augment.recipe import Clip
from kws.common.errors import UserError
from kws.common.files import write_json, write_table
from kws.detector import Averages, DetectorSpec, write_spec
from kws.evaluation.events import Outcome
from kws.evaluation.spotting import evaluate_streams
from kws.evaluation.streams import Spoken, read_streams, write_labels
from kws.evaluation.sweep import Heard
from kws.params.compose import compose
from kws.params.whole import load_params
from kws.recordings.audio import read_audio
from kws.report import charts, numbers
from kws.report.dag import HEIGHT, WIDTH, draw, find_edges, layers, read_stages
from kws.report.headline import columns, duration, rate
from kws.report.media import COLOURS, mp3, palette, read_part, spectrogram
from kws.report.page import Results, render, specs
from kws.report.sounds import Wrong, changes, clock, listen, read_outcomes, worst
from kws.report.vega import vega
from stages import augment, hard, paths, report
from stages import vega as vega_stage

PIPELINE = (ROOT / "dvc.yaml").read_text()
STREAM = {
    "hours": 2.0,
    "keywords": 40,
    "recall": 0.75,
    "recall_interval": [0.6, 0.9],
    "fa_per_hour": 4.5,
    "fa_per_hour_interval": [1.5, 12.2],
    "recall_at_fa_per_hour": {"10": 0.8, "1": 0.7, "0.5": 0.6, "0.1": 0.5},
    "recall_at_fa_per_hour_interval": {
        "10": [0.7, 0.9],
        "1": [0.6, 0.8],
        "0.5": [0.5, 0.7],
        "0.1": [0.4, 0.6],
    },
    "near_misses": {"n": 50, "false_accept_rate": 0.02, "interval": [0.0, 0.06]},
    "latency_ms": {"p50": -13.2, "p95": 180.0},
    "per_keyword": {"SALIR": {"n": 40, "hits": 30, "false_accepts": 9}},
    "by_condition": {
        "recordings": {"hours": 0.5, "fa_per_hour": 0.0},
        "0dB": {"hours": 0.5, "fa_per_hour": 12.0, "recall": 0.5},
        "10dB": {"hours": 0.5, "fa_per_hour": 6.0, "recall": 0.7},
        "clean": {"hours": 0.5, "fa_per_hour": 0.0, "recall": 1.0},
    },
    "tuning_hours": 1.0,
    "threshold": {"SALIR": 0.4},
    "points": {
        "0.5": {
            "recall": 0.75,
            "recall_interval": [0.6, 0.9],
            "fa_per_hour": 4.5,
            "fa_per_hour_interval": [1.5, 12.2],
            "near_miss_rate": 0.02,
        },
        "10": {"fa_per_hour": 0.0, "fa_per_hour_interval": [0.0, 1.5]},
    },
    "per_voice": {"ana": {"n": 20, "hits": 18}, "tom": {"n": 20, "hits": 12}},
    "confused": [],
    "apart": {},
    "voices": 5,
}
MODEL = {"params": 227784, "macs": 13437952, "size_kb": 893.1, "max_abs_diff": 1e-6}
HOST = {
    "tool": "a tool 1.0",
    "latency_ms": {"p50": 0.25, "p95": 0.3, "p99": 0.4, "max": 0.5},
    "top1_agreement": 1.0,
    "cosine": 0.99996,
    "accuracy": 0.85,
    "accuracy_drop": 0.01,
}
BARE = {"same_source": {"accuracy": 0.997}, "onnx": MODEL, "targets": {"host": HOST}}
"""What a run without an evaluation set measures."""
QUIET = STREAM | {"fa_per_hour": 0.0, "fa_per_hour_interval": [0.0, 1.5]}


def bare(**more) -> Results:
    return Results(
        metrics=BARE,
        labels=["SALIR", "FONDO"],
        thresholds={"SALIR": 0.5},
        target_fa_per_hour=0.5,
        dvc_yaml=PIPELINE,
        params_yaml="seed: 1\n",
        network="crnn",
        model_sha256="0" * 64,
        versions={"Python": "3.11"},
        **more,
    )


# --- numbers


def test_runs_are_compared_by_the_numbers_that_were_measured():
    words = {"accuracy": 0.5}
    assert columns(BARE | {"words": words, "near_misses": {"false_accept_rate": 0.1}, "stream": STREAM}) == {
        "words": 0.5,
        "near_misses": 0.1,
        "recall": 0.75,
        "fa_per_hour": 4.5,
        "recall_at_1_per_hour": 0.7,
        "recall_at_0.5_per_hour": 0.6,
        "hours": 2.0,
        "same_source": 0.997,
        "params": 227784,
        "macs": 13437952,
        "host": {"p50_ms": 0.25, "agreement": 1.0, "accuracy_drop": 0.01},
    }
    assert set(columns(BARE)) == {"same_source", "params", "macs", "host"}


def test_the_page_says_what_8_bits_everywhere_would_cost():
    int8 = {"tool": "a tool", "words": 0.4857, "near_misses": 0.1, "recall": 0.745, "fa_per_hour": 4.0}
    host = HOST | {"all_int8": int8 | {"agreement": 0.99}}
    float_ = {"words": {"accuracy": 0.5}, "near_misses": {"false_accept_rate": 0.09}, "stream": STREAM}
    rows = [
        (name, value.replace(numbers.NBSP, ""), other.replace(numbers.NBSP, ""))
        for name, value, other in numbers.all_int8_rows(BARE | float_ | {"targets": {"host": host}})
    ]
    assert rows[:3] == [
        ("words", "48.6%", "50.0%"),
        ("near misses", "10.0%", "9.0%"),
        ("recall in streams", "74.5%", "75.0%"),
    ]
    assert [name for name, *_ in rows[3:]] == ["false accepts", "the same answer on"]
    assert numbers.all_int8_rows(BARE) == []


def test_none_is_not_zero():
    assert rate(0, 0.25) == "none in 15 min: below 12 an hour"
    assert rate(8.24, 0.5) == "8.2 an hour"
    row = next(row for row in numbers.stream_rows(QUIET) if row.name == "False accepts")
    assert (row.value, row.interval) == ("none in 2.0 h", "below 1.5 an hour")


def test_thresholds_that_are_measured_where_they_were_chosen_are_called_so():
    alone = STREAM | {"tuning_hours": 0.0}
    meanings = {row.name: row.meaning for row in numbers.stream_rows(alone)}
    assert "that the thresholds were chosen on" in meanings["False accepts"]
    assert "so these numbers flatter" in render(
        dataclasses.replace(bare(), metrics=BARE | {"stream": alone}), vega()
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (7, "7 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (90, "2 min"),
        (3560, "59 min"),
        (3599, "1.0 h"),
        (7300, "2.0 h"),
    ],
)
def test_no_length_of_time_is_nothing(seconds, text):
    assert duration(seconds / 3600) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.004, "0.4 %"), (0.027, "2.7 %"), (0.43, "43 %"), (0.996, "99.6 %"), (1, "100 %")],
)
def test_percentages_have_as_many_digits_as_they_need(share, text):
    assert numbers.percent(share).replace(numbers.NBSP, " ") == text


def test_rates_that_the_hours_cannot_tell_apart_are_one_row():
    rows = {row.name: row for row in numbers.stream_rows(STREAM)}
    assert "… at 10 false accepts an hour" in rows
    assert "… at 1 false accepts an hour" in rows, "2 of them in 2 hours"
    assert "2.0 h are too short" in rows["… at 0.1 an hour"].meaning
    assert "… at 0.5 false accepts an hour" in rows, "1 of them in 2 hours"
    few = numbers.stream_rows(STREAM | {"hours": 0.5})
    assert "… at 1, 0.5 or 0.1 an hour" in {row.name for row in few}


def test_conditions_go_from_quiet_to_noisy_and_what_was_not_said_has_no_recall():
    rows = numbers.condition_rows(STREAM)
    assert [row.name.replace(numbers.NBSP, " ") for row in rows] == [
        "no background",
        "background at 10 dB",
        "background at 0 dB",
        "own recordings",
    ]
    assert (rows[0].false_accepts, rows[1].false_accepts) == ("none (below 6)", "6")
    assert rows[3].recall is None


def test_each_operating_point_says_what_it_costs():
    chosen, loose = numbers.point_rows(STREAM, 0.5)
    assert (chosen.rate, chosen.chosen, loose.rate, loose.chosen) == ("0.5", True, "10", False)
    assert (chosen.vouched, loose.vouched) == (False, True), "there is one hour to choose on"
    assert (chosen.recall, chosen.recall_interval) == (0.75, "60 to 90\N{NO-BREAK SPACE}%")
    assert (chosen.false_accepts, chosen.false_accepts_interval) == ("4.5", "1.5 to 12")
    assert (loose.recall, loose.near_misses, loose.false_accepts) == (None, None, "none (below 1.5)")
    assert numbers.point_rows({}, 0.5) == []
    third = STREAM | {"points": {"0.333333": STREAM["points"]["0.5"]}}
    assert numbers.point_rows(third, 1 / 3)[0].chosen


def test_the_voice_that_is_heard_least_comes_first():
    assert numbers.voice_rows(STREAM) == [("tom", 12, 20), ("ana", 18, 20)]
    assert numbers.voice_rows({}) == []


def test_keywords_show_what_is_known_of_them():
    rows = numbers.keyword_rows(BARE | {"stream": STREAM}, {"SALIR": 0.4, "NUNCA": 2.0})
    assert (rows[0].recall, rows[0].false_accepts, rows[0].threshold) == (0.75, 9, "0.4000")
    assert (rows[1].recall, rows[1].word_recall, rows[1].threshold) == (None, None, "never fires")


def test_a_target_is_set_against_float():
    host, npu = numbers.target_rows({"host": HOST, "npu": {"tool": "b", "latency_ms": {"p50": 1.0}}})
    assert [c.replace(numbers.NBSP, " ") for c in (host.accuracy, host.reference, host.drop)] == [
        "85.0 %",
        "86.0 %",
        "1.0 points",
    ]
    assert (npu.accuracy, npu.reference, npu.latency) == (numbers.MISSING, numbers.MISSING, {"p50": "1.00"})


# --- pipeline


def test_the_drawing_has_every_stage_and_every_edge():
    stages = read_stages(PIPELINE)
    drawing = draw(stages)
    names = [box.stage.name for box in drawing.boxes]
    assert names == list(dict.fromkeys(names))
    assert {"rirs", "augment", "logmel", "hard", "train", "onnx", "evaluate", "report"} <= set(names)
    assert {box.stage.name: box.stage.each for box in drawing.boxes if box.stage.each} == {
        "augment": "label",
        "logmel": "label",
        "hear": "label",
        "compile": "target",
        "benchmark": "target",
    }
    drawn = {(arrow.edge.source, arrow.edge.target) for arrow in drawing.arrows}
    assert drawn == {(edge.source, edge.target) for edge in find_edges(stages)}
    assert {
        ("rirs", "augment"),  # the same path
        ("augment", "logmel"),  # a path with ${item.label}
        ("hard", "train"),  # a file in a folder
        ("onnx", "compile"),
        ("calib", "compile"),  # a folder, and a file in it
        ("compile", "benchmark"),
        ("benchmark", "report"),
        ("streams", "evaluate"),
    } <= drawn
    assert ("hard", "logmel") not in drawn
    plain = {(arrow.edge.source, arrow.edge.target) for arrow in drawing.arrows if not arrow.implied}
    assert ("augment", "logmel") in plain
    assert ("augment", "train") not in plain, "it goes by logmel"


def test_boxes_lie_apart_inside_the_drawing_and_arrows_lead_to_the_right():
    stages = read_stages(PIPELINE)
    drawing, edges = draw(stages), find_edges(stages)
    layer = layers(stages, edges)
    assert all(layer[edge.source] < layer[edge.target] for edge in edges)
    for box in drawing.boxes:
        assert 0 <= box.x <= drawing.width - WIDTH
        assert 0 <= box.y <= drawing.height - HEIGHT
        for other in drawing.boxes:
            apart = abs(box.x - other.x) >= WIDTH or abs(box.y - other.y) >= HEIGHT
            assert apart or box is other, f"{box.stage.name} on {other.stage.name}"
    assert draw([]).boxes == []


# --- sounds


def content(uri: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))


@pytest.mark.parametrize("hertz", [RATE, 10000])
def test_a_sound_is_the_same_as_mp3_at_any_rate(word, hertz):
    decoded, found = soundfile.read(content(mp3(word, hertz)))
    assert found >= hertz
    assert len(decoded) / found == pytest.approx(len(word) / hertz, abs=0.01)
    if hertz == RATE:
        assert np.corrcoef(decoded, word)[0, 1] > 0.95


def test_a_spectrogram_shows_frames_from_left_to_right_and_low_bands_below(front_end):
    time = np.arange(RATE, dtype=np.float32) / RATE
    tone = np.where(time < 0.5, np.sin(2 * np.pi * 200 * time), np.sin(2 * np.pi * 5000 * time))
    image = Image.open(content(spectrogram(tone.astype(np.float32), front_end)))
    assert image.size == (front_end.n_frames, front_end.n_mels)
    loudest = np.asarray(image).argmax(axis=0)
    assert loudest[10] > 0.85 * front_end.n_mels, "200 Hz lies below"
    assert loudest[-10] < 0.3 * front_end.n_mels, "5 kHz lies above"


def test_louder_is_lighter():
    light = palette() @ [0.299, 0.587, 0.114]
    assert palette().shape == (COLOURS, 3)
    assert (np.diff(light) > 0).all()


def test_a_part_of_a_recording_has_its_own_time(tmp_path):
    ramp = np.linspace(-0.5, 0.5, 88200, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([ramp, ramp], axis=1), 44100, subtype="FLOAT")
    audio, begins = read_part(tmp_path / "a.wav", 0.5, 1.5, RATE)
    assert (len(audio), begins) == (RATE, 0.5)
    assert audio[RATE // 2] == pytest.approx(0, abs=0.01)
    audio, begins = read_part(tmp_path / "a.wav", -0.5, 9, RATE)
    assert (len(audio), begins) == (2 * RATE, 0)
    with pytest.raises(UserError, match=r"a\.wav: ends before 3\.0 s"):
        read_part(tmp_path / "a.wav", 3, 4, RATE)
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"a\.wav: cannot be read as audio"):
        read_part(tmp_path / "a.wav", 0, 1, RATE)


def outcome(kind, score, start=1.0, said="SALIR", stream="a.wav"):
    heard = "" if kind == "miss" else "SALIR"
    return Outcome(stream, kind, said, heard, start, start + 0.8, score, 0.1 if kind == "hit" else None)


def test_errors_come_by_score_and_hits_are_none(tmp_path, front_end):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 5 * RATE), RATE)
    false = outcome("false accept", 0.7, 1.5, said="")
    outcomes = [
        outcome("miss", 0.1),
        outcome("hit", 0.9),
        false,
        outcome("miss", 0.3, 3),
        outcome("miss", 0.2),
    ]
    assert [o.score for o in worst(outcomes, 9, 3)] == [0.7, 0.3, 0.2]
    groups = listen(outcomes, lambda name: tmp_path / name, {"SALIR": 0.5}, front_end, 9, 3)
    assert [(group.kind, group.n, len(group.sounds)) for group in groups] == [
        ("false accept", 1, 1),
        ("miss", 3, 2),
    ]
    heard = groups[0].sounds[0]
    assert heard.details[:2] == ["score 0.7000, threshold 0.5000", "a.wav at 0:01"]
    assert "while SALIR was said" in heard.details
    assert (heard.marks[0].kind, heard.marks[0].left) == ("window", pytest.approx(0.5 / 1.8))


def test_a_cut_list_of_errors_says_so(front_end, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 5 * RATE), RATE)
    some = [outcome("miss", score / 10) for score in range(5)]
    wrong = listen(some, lambda name: tmp_path / name, {"SALIR": 0.5}, front_end, 9, 2)
    page = render(bare(wrong=wrong), vega())
    assert "Of 5 errors 2 are here: of each keyword those with the highest scores." in page
    assert "5, of which 2 are here" in page
    assert "2 are here" not in render(bare(wrong=[Wrong("miss", 2, wrong[0].sounds)]), vega())


def test_a_word_that_is_never_heard_does_not_fill_the_page():
    many = [outcome("miss", score / 100) for score in range(50)] + [outcome("false accept", 0.01, said="")]
    assert [o.score for o in worst(many, 3, 200)] == pytest.approx([0.49, 0.48, 0.47, 0.01])


PLAIN = Clip(
    index=0, label="SALIR", kind="keyword", split="train", source="SALIR/a.wav", source_sha256="",
    source_start=0, source_length=8000, other="", cut=0.5, formant=1, semitones=0, duration=1, start=0,
    length=8000, rir=-1,
    noise=(), noise_start=(), noise_seed=1, noise_slope=0, snr_db=30, eq_db=(), low_hz=20, high_hz=8000,
    level_dbfs=-10, drive_db=0, offset=0, floor_dbfs=None,
)  # fmt: skip


def test_a_caption_names_what_is_heard_first():
    assert changes(PLAIN) == []
    noisy = dataclasses.replace(
        PLAIN, noise=("006_murmullo.ogg", "gaussian"), snr_db=-3, semitones=-3.5, rir=2
    )
    assert [text.replace(numbers.NBSP, " ") for text in changes(noisy)] == [
        "murmullo and white noise at \N{MINUS SIGN}3 dB",
        "in a room",
        "pitch \N{MINUS SIGN}3.5 semitones",
    ]
    assert changes(dataclasses.replace(PLAIN, duration=0.8, formant=1.2)) == [
        "20 % shorter",
        "formants 20 % higher",
    ]


def test_times_read_as_on_a_clock():
    assert [clock(s) for s in (0, 59.9, 60, 83.2, 3600)] == ["0:00", "0:59", "1:00", "1:23", "60:00"]


def test_a_long_stream_is_shown_where_most_is_said():
    rows = [{"time": float(t)} for t in range(1, 1001)]
    said = [outcome("miss", 0.1, start) for start in (5, 700, 720, 750, 810)]
    assert charts.shown(rows, said) == (699, 819)
    assert charts.shown(rows[:60], said) == (0, 60)
    assert charts.shown(rows, []) == (0, 120)


# --- the page


def test_what_was_not_measured_is_left_out():
    page = render(bare(), vega())
    assert {f'id="{name}"' in page for name in ("numbers", "keywords", "model", "pipeline")} == {True}
    assert {
        f'id="{name}"' in page
        for name in ("wrong", "thresholds", "timeline", "confusion", "recordings", "training")
    } == {False}
    assert "<audio" not in page
    assert "None" not in page.split("<script>")[0]
    assert "This says only that training worked" in page
    assert "nothing is known" in page


@pytest.mark.parametrize(
    ("kinds", "which"),
    [(["hit", "miss"], "The stream with most hits"), (["false accept"], "One of the streams")],
)
def test_only_a_stream_with_hits_is_called_that_with_most(kinds, which):
    rows = [{"stream": "a.wav", "time": float(t), "SALIR": 0.1} for t in range(1, 4)]
    page = render(bare(timeline=rows, outcomes=[outcome(kind, 0.6) for kind in kinds]), vega())
    assert f"{which}, <code>a.wav</code>" in page


def test_streams_without_keywords_have_no_recall():
    silent = {
        k: STREAM[k] for k in ("hours", "fa_per_hour", "fa_per_hour_interval", "per_keyword", "tuning_hours")
    }
    silent |= {"keywords": 0, "per_keyword": {"SALIR": {"n": 0, "hits": 0, "false_accepts": 9}}}
    results = dataclasses.replace(
        bare(det=[{"threshold": 0.5, "fa_per_hour": 1, "miss_rate": 1, "near_miss_rate": 0}]),
        metrics=BARE | {"stream": silent},
    )
    assert specs(results) == {}
    assert "false accepts an hour" in render(results, vega())


def test_text_is_escaped():
    page = render(dataclasses.replace(bare(), params_yaml="a: <script>alert(1)</script>"), vega())
    assert "alert(1)</script>" not in page


def dialogue(keywords, gap_s):
    """Recorded keywords over a fan: float32 [samples], and what is said when."""
    rng, pieces, spoken, at = np.random.default_rng(0), [], [], 0.0
    for keyword in keywords:
        word = read_audio(next((ROOT / "data/seeds" / keyword).glob("*")), RATE)
        pieces += [np.zeros(round(gap_s * RATE), np.float32), word]
        spoken.append(Spoken(keyword, at + gap_s, at + gap_s + len(word) / RATE))
        at += gap_s + len(word) / RATE
    audio = np.concatenate([*pieces, np.zeros(2 * RATE, np.float32)])
    return audio + 0.01 * rng.standard_normal(len(audio)).astype(np.float32), spoken


def averages(seconds, spoken, keywords, params):
    """What a model makes of it that hears all but the last word, and one word more at the end."""
    rows = np.zeros((int((seconds - 1) * 1000 / params.detector.hop_ms) + 1, len(keywords)))
    for word in spoken[:-1]:
        last = int((word.end - 1) * 1000 / params.detector.hop_ms)
        rows[max(0, last - 2) : last + 4, keywords.index(word.label)] = 0.9
    rows[-4:, 0] = 0.8
    return Averages(params.detector.rules, len(keywords)).push(rows)


def measured(params):
    """Write what `evaluate` and the stages before it write, for a model that is made up."""
    audio, spoken = dialogue(["SALIR", "REPETIR", "SALIR", "REPETIR"], 1.5)
    labels = {}
    for voice in ("ana", "berta"):
        (paths.STREAMS / voice).mkdir(parents=True)
        soundfile.write(paths.STREAMS / voice / "clean.flac", audio, RATE)
        labels[f"{voice}/clean.flac"] = spoken
    write_labels(paths.STREAMS / "labels.csv", labels)
    streams = read_streams(paths.STREAMS, params.labels, params.background)
    seconds, rules = len(audio) / RATE, params.detector.rules
    heard = [Heard(seconds, averages(seconds, s.spoken, params.keywords, params), s.spoken) for s in streams]
    found = evaluate_streams(streams, heard, params.keywords, rules, params.features.clip_s, 1000)
    confusion = {k: {label: 5 * (label == k) for label in params.labels} for k in params.keywords}
    words = {
        "n": 10,
        "voices": 5,
        "accuracy": 1.0,
        "interval": [0.7, 1.0],
        "recall": dict.fromkeys(params.keywords, 1.0),
    }
    words["confusion"] = confusion
    same_source = {"same_source": {"accuracy": 0.99}}
    write_json(paths.EVALUATION, same_source | {"words": words, "stream": found.summary})
    write_json(paths.ONNX_REPORT, MODEL)
    write_json(paths.benchmark("host"), HOST)
    write_json(paths.ALL_INT8, {"tool": "a tool 1.0", "words": 0.9, "recall": 0.5, "fa_per_hour": 2.0})
    on = found.summary["threshold"]
    write_spec(
        paths.DETECTOR,
        DetectorSpec(params.labels, params.background, params.features.clip_s, rules, on, found.points),
    )
    paths.ONNX.write_bytes(b"a model")
    epochs = [
        {"epoch": n, "train_loss": 1 / n, "train_accuracy": 1, "val_loss": 2 / n, "val_accuracy": 0.9}
        for n in (1, 2)
    ]
    events = [dataclasses.asdict(o) for o in found.outcomes]
    loud = [dataclasses.asdict(o) for o in found.loudest]
    tables = {paths.EVENTS: events, paths.LOUDEST: loud, paths.DET: found.det, paths.SCORES: found.histogram}
    for path, rows in (tables | {paths.TIMELINE: found.timeline, paths.TRAINING: epochs}).items():
        write_table(path, list(rows[0]), rows)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which `report` has run on real clips and streams."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copy(ROOT / "dvc.yaml", folder)
    few = ["labels=[REPETIR,SALIR,FONDO]", "augment.per_class=8", "augment.fondo_minutes=0.5"]
    data = [f"data.{name}={ROOT}/data/{name}" for name in ("seeds", "negatives")]
    none = [f"data.{name}={ROOT}/data/none" for name in ("streams", "voices")]
    compose(ROOT / "conf", folder / "params.yaml", ["experiment=smoke", *few, *data, *none])
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("KWS_WORKERS", "1")
        patch.setattr(sys, "stdout", io.StringIO())
        paths.RIRS.parent.mkdir(parents=True)
        np.save(paths.RIRS, np.eye(4, 800, dtype=np.float32))
        params = load_params(paths.PARAMS)
        for label in params.labels:
            augment.main(label)
        hard.main()
        measured(params)
        vega_stage.main()
        report.main()
    return folder


@pytest.fixture(scope="module")
def page(project):
    return (project / paths.PAGE).read_text(encoding="utf-8")


def test_the_stage_writes_numbers_and_page(project, page):
    metrics = json.loads((project / paths.METRICS).read_text())
    assert set(metrics) == {"same_source", "words", "stream", "onnx", "targets"}
    assert json.loads((project / paths.HEADLINE).read_text()) == columns(metrics)
    for name in (
        "numbers",
        "keywords",
        "wrong",
        "thresholds",
        "timeline",
        "confusion",
        "model",
        "recordings",
        "training",
        "pipeline",
    ):
        assert f'id="{name}"' in page
    events, loudest = (read_outcomes(project / path) for path in (paths.EVENTS, paths.LOUDEST))
    assert {o.kind for o in loudest} == {"false accept"}
    assert {o.stream for o in loudest}.isdisjoint(o.stream for o in events)
    wrong = sum(o.kind != "hit" for o in events)
    assert page.count("<audio") == 4 * report.CLIPS + 2 + 1 + wrong + len(loudest)
    assert "What keeps the threshold up" in page


def test_the_page_is_the_same_again_and_knows_neither_place_nor_time(project, page):
    with contextlib.chdir(project):
        report.main()
    assert (project / paths.PAGE).read_text(encoding="utf-8") == page
    assert str(project) not in page
    assert "\r" not in page


def test_the_page_names_no_other_site_to_load_from(page):
    assert page.count("<script src") == page.count("<link") == page.count("@import") == 0
    assert all(uri.startswith("data:") for uri in attributes(page, "src"))
    assert "default-src 'none'" in page


def attributes(page, name):
    return [part.split('"', 1)[0] for part in page.split("<script>")[0].split(f' {name}="')[1:]]


def test_images_have_words_and_tables_have_headings(page):
    body = page.split("<script>")[0]
    assert all(attributes(page, "alt"))
    assert body.count("<img") == len(attributes(page, "alt")) == body.count('loading="lazy"')
    assert body.count("<audio") == body.count('preload="none"')
    assert body.count("<table") == body.count("<thead")


# --- the page in a browser


@contextlib.contextmanager
def opened(browser, project, scheme="light"):
    """The page, drawn; what it says on the console and whom it asks for anything are errors."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    said, asked = [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((project / paths.PAGE).as_uri())
    charts_drawn = "() => [...document.querySelectorAll('.chart')].every(c => c.querySelector('svg'))"
    tab.wait_for_function(charts_drawn)
    yield tab
    tab.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(project / paths.PAGE).as_uri()]


def test_every_chart_has_marks(browser, project):
    with opened(browser, project) as tab:
        marks = tab.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll(".chart")].map(chart => {
                const sizes = [...chart.querySelectorAll("[class*=role-mark] path, [class*=role-mark] line")]
                    .map(mark => mark.getBoundingClientRect()).map(box => box.width + box.height);
                return [chart.id, sizes.filter(size => size > 3).length];
            }))"""
        )
    assert set(marks) == {f"chart-{name}" for name in ("det", "scores", "loss", "accuracy", "timeline")}
    assert min(marks.values()) >= 2
    assert marks["chart-timeline"] >= 4 + 2 + 2 + 3, "words, scores, thresholds, events"


def test_every_sound_plays_and_every_picture_shows(browser, project):
    with opened(browser, project) as tab:
        seconds = tab.evaluate(
            """() => Promise.all([...document.querySelectorAll("audio")].map(
                audio => new Promise((done, fail) => {
                    audio.onloadedmetadata = () => done(audio.duration);
                    audio.onerror = () => fail(new Error(audio.error.message));
                    audio.preload = "metadata";
                    audio.load();
                })))"""
        )
        assert min(seconds) > 0.6
        widths = tab.evaluate(
            """() => Promise.all([...document.querySelectorAll("img")].map(image => {
                image.loading = "eager";
                return image.decode().then(() => image.naturalWidth);
            }))"""
        )
        assert min(widths) >= 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(browser, project, scheme):
    with opened(browser, project, scheme) as tab:
        for width in (1280, 768, 380, 360):
            tab.set_viewport_size({"width": width, "height": 800})
            tab.wait_for_timeout(100)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_is_dark_and_paper_is_white(browser, project):
    ink = """() => ["body", "#chart-det text"].map(where => getComputedStyle(document.querySelector(where)))
        .map((style, i) => (i ? style.fill : style.color).match(/\\d+/g).slice(0, 3).map(Number))"""
    with opened(browser, project, "dark") as tab:
        assert np.min(tab.evaluate(ink)) > 120
        tab.emulate_media(media="print")
        assert np.max(tab.evaluate(ink)) < 120
        tab.emulate_media(media="screen", color_scheme="light")
        assert np.max(tab.evaluate(ink)) < 120


def test_a_click_plays_the_stream_from_there_and_a_choice_hides_the_others(browser, project):
    with opened(browser, project) as tab:
        tab.locator("#chart-timeline").scroll_into_view_if_needed()
        area = tab.locator("#chart-timeline .background").first.bounding_box()
        player = tab.locator(".player")
        player.evaluate("player => (player.onseeking = () => (window.sought ??= player.currentTime))")
        tab.mouse.click(area["x"] + area["width"] / 2, area["y"] + 5)
        tab.wait_for_function("() => window.sought > 0")
        sought, whole = player.evaluate("player => [window.sought, player.duration]")
        assert sought == pytest.approx(whole / 2, abs=0.5)
        shown = tab.locator("#wrong li:visible b")
        assert set(shown.all_inner_texts()) == {"REPETIR"}, "the one that was missed, and heard at the end"
        tab.select_option(".choose select", "SALIR")
        assert shown.count() == 0
