"""What is said of a run beside its numbers: what they cannot tell, and what to do about it."""

import pytest

from kws.report.advice import advise

FINE = {
    "hours": 2.0,
    "tuning_hours": 2.0,
    "recall_at_fa_per_hour": {"10": 0.9, "1": 0.8},
    "per_keyword": {"LUZ": {"n": 20, "hits": 18}, "PUERTA": {"n": 20, "hits": 15}},
    "threshold": {"LUZ": 0.4, "PUERTA": 0.4},
    "apart": {},
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
