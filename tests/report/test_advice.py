"""What is said of a run beside its numbers: what they cannot tell, and what to do about it."""

import pytest

from kws.report.advice import advise

FINE = {
    "hours": 2.0,
    "fa_per_hour": 0.0,
    "recall": 0.98,
    "tuning_hours": 2.0,
    "recall_at_fa_per_hour": {"10": 0.9, "1": 0.8},
    "per_keyword": {"LUZ": {"n": 20, "hits": 18}, "PUERTA": {"n": 20, "hits": 19}},
    "threshold": {"LUZ": 0.4, "PUERTA": 0.4},
    "apart": {},
    "by_condition": {},
}
WORDS = {"recall": {"LUZ": 1.0, "PUERTA": 0.9}}


def said(stream=FINE, words=WORDS, target=0.5):
    metrics = {"stream": stream, "words": words}
    return advise({k: v for k, v in metrics.items() if v}, ["LUZ", "PUERTA"], target)


def heard(luz, puerta):
    return {"LUZ": {"n": 20, "hits": luz}, "PUERTA": {"n": 20, "hits": puerta}}


def test_of_a_good_run_there_is_nothing_to_say():
    assert said() == []


@pytest.mark.parametrize(("threshold", "does"), [(0.9, "has a threshold of its own"), (2.0, "never fires")])
def test_a_keyword_like_the_background_comes_first(threshold, does):
    stream = FINE | {"apart": {"PUERTA": 451.2}, "per_keyword": heard(18, 0), "tuning_hours": 0.5}
    first, *rest = said(stream | {"threshold": {"LUZ": 0.4, "PUERTA": threshold}})
    assert first.grave
    assert first.text.startswith("PUERTA cannot be told from the background:")
    assert "fires 451 times an hour" in first.text
    assert does in first.text
    assert "kws wavs PUERTA" in first.text
    assert not any(one.grave for one in rest)


def test_a_keyword_that_its_own_threshold_serves_is_left_alone():
    assert said(FINE | {"apart": {"PUERTA": 70.0}}) == []


def test_nothing_heard_is_told_by_what_other_thresholds_would_give():
    silent = FINE | {"per_keyword": heard(0, 0)}
    (possible,) = said(silent)
    assert possible.grave
    assert "though 90% would be at 10 false accepts an hour" in possible.text
    (impossible,) = said(silent | {"recall_at_fa_per_hour": {"10": 0.02, "1": 0.0}})
    assert impossible.text.startswith("No word is heard at any threshold of use")
    (one,) = said(FINE | {"per_keyword": heard(18, 0)})
    assert one.text.startswith("Nothing was heard of PUERTA in streams.")


def test_lower_thresholds_that_cost_nothing_are_told():
    points = {
        "0.5": {"recall": 0.56, "fa_per_hour": 0.0},
        "1": {"recall": 0.67, "fa_per_hour": 0.0},
        "2": {"recall": 0.78, "fa_per_hour": 0.0},
        "5": {"recall": 0.80, "fa_per_hour": 4.0},
    }
    stream = FINE | {"recall": 0.56, "points": points}
    (one,) = said(stream)
    assert one.text.startswith(
        "At the thresholds for 2 false accepts an hour 78% of the words are heard, not 56%"
    )
    assert "kws listen --fa-per-hour 2; to keep them: -S detector.target_fa_per_hour=2." in one.text
    assert not one.grave
    assert said(stream, target=2.0) == []
    assert said(stream | {"fa_per_hour": 1.5}) == []
    assert said(stream | {"recall": 0.72}) == []


def test_what_nobody_else_says_is_named():
    (all_,) = said(FINE | {"per_keyword": {}}, words=None)
    assert "How often the words are heard is not known" in all_.text
    assert "my/eval/words/<LABEL>/<voice>.wav" in all_.text
    (one,) = said(words={"recall": {"LUZ": 1.0}})
    assert one.text.startswith("How often PUERTA is heard is not known")
    assert "my/eval/words/PUERTA/<voice>.wav" in one.text


def test_minutes_do_not_vouch_for_what_takes_hours():
    (few,) = said(FINE | {"tuning_hours": 15 / 60})
    assert few.text.startswith("15 min of streams to choose thresholds on can vouch for 4 false")
    assert not few.grave
    (few,) = said(FINE | {"tuning_hours": 5 / 60})
    assert few.grave, "these thresholds are guesses"
    assert few.text.startswith(
        "5 min of streams to choose thresholds on can vouch for 12 false accepts an hour"
    )
    assert "not for the 0.5 asked for" in few.text
    assert said(FINE | {"tuning_hours": 5 / 60}, target=12) == []


def test_one_voice_alone_and_no_stream_are_told():
    alone, few = said(FINE | {"tuning_hours": 0.0, "hours": 0.3})
    assert "there is one voice alone" in alone.text
    assert "18 min" in few.text
    (none,) = said(stream=None)
    assert none.text.startswith("No stream was measured")


def test_a_word_and_a_voice_that_are_heard_least_are_named_where_that_is_no_chance():
    word, *_ = said(FINE | {"recall": 0.6, "per_keyword": heard(18, 6)})
    assert word.text.startswith("The word heard least in streams is PUERTA, 6 of 20, the others 90%.")
    assert "The word heard least" not in str(said(FINE | {"recall": 0.8, "per_keyword": heard(18, 14)}))
    voices = {"ana": {"n": 40, "hits": 38}, "tom": {"n": 40, "hits": 20}, "eva": {"n": 40, "hits": 36}}
    voice, *_ = said(FINE | {"per_voice": voices})
    assert voice.text.startswith("The voice heard least in streams is tom, 20 of 40 words, the others 92%.")
    assert said(FINE | {"per_voice": {"ana": {"n": 20, "hits": 18}, "tom": {"n": 20, "hits": 17}}}) == []
    assert said(FINE | {"per_voice": {"ana": {"n": 40, "hits": 37}}}) == []


def test_the_pair_that_is_confused_most_is_named():
    """In both directions together; from single words where no stream tells."""
    rows = [("LUZ", "CRUZ", 3), ("PUERTA", "TUERTA", 4), ("CRUZ", "LUZ", 2)]
    confused = [dict(zip(("said", "heard", "n"), row, strict=True)) for row in rows]
    (pair,) = said(FINE | {"confused": confused})
    assert pair.text.startswith("CRUZ and LUZ are confused most: 5 times one was heard in streams")
    assert said(FINE | {"confused": confused[:0]}) == []
    assert said(FINE | {"confused": [{"said": "LUZ", "heard": "CRUZ", "n": 1}]}) == []
    confusion = {"LUZ": {"LUZ": 7, "PUERTA": 2, "FONDO": 9}, "PUERTA": {"LUZ": 1, "PUERTA": 9}}
    (pair,) = said(words=WORDS | {"confusion": confusion})
    assert pair.text.startswith(
        "LUZ and PUERTA are confused most: 3 times one was heard as single recordings"
    )


@pytest.mark.parametrize(
    ("clean", "words", "text"),
    [
        (0.8, heard(20, 12), "Another recording of PUERTA|of 8 missed words it is 8"),
        (0.98, heard(16, 16), "More background of the place of use (data.seeds)|80% {} 98%"),
        (0.85, heard(16, 16), "Another voice (data.voices)|80% {} 85%"),
        (None, heard(16, 16), None),
    ],
)
def test_what_would_win_most_is_read_off_what_is_missed(clean, words, text):
    conditions = {"0dB": {"recall": 0.7}} | ({} if clean is None else {"clean": {"recall": clean}})
    found = said(FINE | {"recall": 0.8, "per_keyword": words, "by_condition": conditions})
    told = [one.text for one in found if "win most" in one.text]
    if text is None:
        assert told == []
    else:
        what, numbers = text.format("of the words are heard, without noise").split("|")
        assert told == [f"{what} would probably win most: {numbers}."]


def test_of_words_of_which_nothing_is_heard_other_advice_comes_first():
    by_condition = {"clean": {"recall": 0.9}, "0dB": {"recall": 0.1}}
    (only,) = said(FINE | {"recall": 0.45, "per_keyword": heard(18, 0), "by_condition": by_condition})
    assert only.text.startswith("Nothing was heard of PUERTA")
