"""Thresholds of other rates, and steps between them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kits import SPEC
from kws.common.errors import UserError
from kws.detector import Point
from kws.runtime.points import adjusted, at_rate

NEVER = 2.0


def odds(probability):
    return probability / (1 - probability)


def ladder(*thresholds, on):
    """A detector with these thresholds of SI, for 1, 2, 3 … an hour, and `on` for both keywords."""
    points = [Point(rate, {"SI": t, "NO": t}) for rate, t in enumerate(thresholds, 1)]
    return replace(SPEC, points=points, on={"SI": on, "NO": on})


def test_a_rate_takes_the_thresholds_chosen_for_it():
    for point in SPEC.points:
        assert at_rate(SPEC, point.fa_per_hour).on == point.on
    assert at_rate(SPEC, 1) == SPEC


def test_between_rates_log_odds_go_with_the_logarithm_of_the_rate():
    """Half-way from 1 to 10, in logarithms, is the square root of ten."""
    between = at_rate(SPEC, 10**0.5).on
    assert odds(between["SI"]) == pytest.approx((odds(0.75) * odds(0.4)) ** 0.5)
    assert between["NO"] == 0.75
    assert at_rate(SPEC, 0.7).on["NO"] == NEVER, "it fires from 1 an hour on"


def test_a_rate_of_none_is_a_rate_too():
    spec = replace(SPEC, points=[Point(0, {"SI": 0.9, "NO": 0.9}), Point(1, {"SI": 0.5, "NO": 0.5})])
    assert at_rate(spec, 0).on["SI"] == 0.9
    assert 0.5 < at_rate(spec, 0.1).on["SI"] < 0.9


def test_two_steps_are_one_operating_point():
    spec = ladder(0.9, 0.7, 0.5, on=0.7)
    assert adjusted(spec, None, ["SI=+2"]).on == {"SI": 0.5, "NO": 0.7}
    assert adjusted(spec, None, ["SI=-2"]).on == {"SI": 0.9, "NO": 0.7}
    assert odds(adjusted(spec, None, ["SI=+1"]).on["SI"]) == pytest.approx((odds(0.7) * odds(0.5)) ** 0.5)
    assert adjusted(spec, None, ["+2"]).on == {"SI": 0.5, "NO": 0.5}
    assert adjusted(spec, None, ["+2", "no=-4"]).on == {"SI": 0.5, "NO": 0.9}
    assert adjusted(spec, 1, ["SI=2"]).on == {"SI": 0.7, "NO": 0.9}, "from the rate that is asked for"


@pytest.mark.parametrize("middle", [0.8, 0.7, 0.61, 0.5000001])
def test_a_step_back_undoes_a_step(middle):
    spec = ladder(0.9, middle, 0.5, on=0.9)
    for there, back in (("+1", "-1"), ("+3", "-3"), ("+3", "-1"), ("+1", "+3")):
        back_again = adjusted(adjusted(spec, None, [f"SI={there}"]), None, [f"SI={back}"])
        steps = int(there) + int(back)
        assert back_again.on["SI"] == {0: 0.9, 2: middle, 4: 0.5}[steps]


def test_points_that_are_alike_are_one():
    assert adjusted(ladder(0.9, 0.9, 0.9, 0.5, on=0.9), None, ["SI=+2"]).on["SI"] == 0.5


def test_a_keyword_that_never_fires_can_be_made_to():
    spec = ladder(NEVER, NEVER, 0.9, 0.5, on=NEVER)
    assert adjusted(spec, None, ["SI=+1"]).on == {"SI": 0.9, "NO": NEVER}
    never = replace(SPEC, points=[Point(p.fa_per_hour, p.on | {"NO": NEVER}) for p in SPEC.points])
    assert adjusted(never, 0.5, ["+2"]).on == {"SI": 0.75, "NO": NEVER}, "all that can be moved"
    with pytest.raises(UserError, match=r"NO never fires at any operating point"):
        adjusted(never, 0.5, ["NO=+2"])


@pytest.mark.parametrize(
    ("rate", "steps", "message"),
    [
        (0.1, [], r"--fa-per-hour 0.1: expected 0.5 to 10, for which the model has thresholds"),
        (11, [], r"--fa-per-hour 11: expected 0.5 to 10"),
        (float("nan"), [], r"--fa-per-hour nan: expected 0.5 to 10"),
        (None, ["SI=+3"], r"--sensitivity SI=\+3: expected -2 to \+2, which is as far as .* of SI go"),
        (None, ["NO=+1"], r"--sensitivity NO=\+1: expected no step"),
        (None, ["LUZ=+1"], r"--sensitivity LUZ=\+1: no such keyword; expected SI NO"),
        (None, ["FONDO=+1"], r"no such keyword"),
        *(
            (None, [wrong], r"expected whole steps, as SI=\+1")
            for wrong in ("SI", "SI=", "SI=0.5", "=1", "SI=1e9")
        ),
    ],
)
def test_what_the_points_do_not_hold_is_one_line(rate, steps, message):
    with pytest.raises(UserError, match=message) as raised:
        adjusted(SPEC, rate, steps)
    assert "\n" not in str(raised.value)


def test_a_model_without_points_says_so_only_when_asked():
    bare = replace(SPEC, points=[])
    assert adjusted(bare) == bare
    for rate, steps in ((1, []), (None, ["+1"])):
        with pytest.raises(UserError, match="has no operating points"):
            adjusted(bare, rate, steps)


def test_a_threshold_set_by_hand_is_no_place_to_step_from():
    with pytest.raises(
        UserError, match=r"the threshold of SI, 0\.95, is none that operating points have, 0\.5 to"
    ):
        adjusted(ladder(0.9, 0.5, on=0.95), None, ["SI=+1"])
    by_hand = adjusted(ladder(0.9, 0.5, on=0.7), None, ["SI=-1"]).on["SI"]
    assert 0.7 < by_hand < 0.9


thresholds = st.one_of(st.floats(0, 1), st.just(NEVER))
rates = st.floats(0, 3600)


@given(st.dictionaries(rates, thresholds, min_size=1, max_size=7), st.tuples(rates, rates))
def test_a_higher_rate_never_has_a_higher_threshold(chosen, asked):
    on = sorted(chosen.values(), reverse=True)
    points = [Point(rate, {"SI": t, "NO": t}) for rate, t in zip(sorted(chosen), on, strict=True)]
    low, high = (min(max(rate, min(chosen)), max(chosen)) for rate in sorted(asked))
    spec = replace(SPEC, points=points)
    assert at_rate(spec, low).on["SI"] >= at_rate(spec, high).on["SI"] - 1e-9
