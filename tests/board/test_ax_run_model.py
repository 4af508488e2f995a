"""What ax_run_model prints: real logs of version 2.3.3sp, other versions, and nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.board.ax_run_model import explain, parse

REAL = b"""\
   Run AxModel:
         model: /root/kws_int8.axmodel
          type: Half
          vnpu: Disable
      affinity: 0b01
        warmup: 10
        repeat: 100
         batch: { auto: 0 }
   pulsar2 ver: 4.2 751f68f9
    engine ver: 2.6.3sp
      tool ver: 2.3.3sp
      cmm size: 748716 Bytes
  ---------------------------------------------------------------------------
  min =   1.056 ms   max =   1.079 ms   avg =   1.058 ms  median =   1.058 ms
   5% =   1.062 ms   90% =   1.057 ms   95% =   1.057 ms     99% =   1.056 ms
  ---------------------------------------------------------------------------
"""
SKIPPED = (
    b"""\
  Total found {16} input stimulus folders.
"""
    + b"".join(b"  Stimulus {%d\r} does not has input folder {./input/}, skipped.\n" % i for i in range(15))
    + b"""\
  Inferring model, total 1/16. Done.
  ------------------------------------------------------
  min =   1.277 ms   max =   1.277 ms   avg =   1.277 ms
  ------------------------------------------------------
"""
)


def test_percentiles_of_2_3_3sp_are_relabelled_and_no_p99_is_made_up():
    report = parse(REAL)
    assert report.percentiles == "descending"
    assert report.latency_ms == {
        "min": 1.056, "mean": 1.058, "p1": 1.056, "p5": 1.057, "p10": 1.057, "p50": 1.058, "p95": 1.062,
        "max": 1.079,
    }  # fmt: skip


def test_the_header_is_read_by_key_and_type_is_the_models_share_of_the_npu():
    facts = parse(REAL).facts
    assert facts == {
        "model_type": "Half", "vnpu": "Disable", "affinity": "0b01", "pulsar2": "4.2 751f68f9",
        "engine": "2.6.3sp", "tool": "2.3.3sp", "cmm": "748716 Bytes",
    }  # fmt: skip
    lines = REAL.split(b"\n")
    assert parse(b"\n".join(lines[:1] + lines[11:0:-1] + lines[12:])).facts == facts


def test_ascending_percentiles_keep_their_names():
    text = b"min = 3.169 ms max = 3.180 ms avg = 3.172 ms median = 3.171 ms\n"
    text += b"5% = 3.170 ms 90% = 3.178 ms 95% = 3.179 ms 99% = 3.180 ms"
    report = parse(text)
    assert report.percentiles == "ascending"
    assert (report.latency_ms["p5"], report.latency_ms["p99"]) == (3.17, 3.18)


def test_equal_percentiles_give_only_what_holds_in_either_order():
    text = b"min = 1 ms max = 9 ms avg = 2 ms median = 1 ms 5% = 1 ms 90% = 1 ms 95% = 1 ms 99% = 1 ms"
    report = parse(text)
    assert report.percentiles == "undecided"
    assert set(report.latency_ms) == {"min", "mean", "p5", "p50", "p95", "max"}


def test_percentiles_in_no_order_are_left_out():
    report = parse(b"min = 1 ms max = 9 ms avg = 2 ms median = 3 ms 5% = 4 ms 99% = 5 ms")
    assert report.percentiles == "contradictory"
    assert set(report.latency_ms) == {"min", "mean", "p50", "max"}


def test_a_short_table_has_no_percentiles():
    assert parse(SKIPPED).latency_ms == {"min": 1.277, "mean": 1.277, "max": 1.277}


def test_carriage_returns_inside_lines_do_not_split_them():
    report = parse(SKIPPED)
    assert (report.found, report.skipped) == (16, 15)


def test_errors_are_kept_and_explained():
    report = parse(b"[ERROR] Run model failed.\n[ERROR] Run model in warmup failed.\n")
    assert report.errors[0] == "[ERROR] Run model failed."
    assert "precision int8" in explain(report)
    assert explain(parse(b"all well")) is None


def test_a_model_that_has_loaded_is_not_said_to_be_for_another_chip():
    failed = parse(b"[ERROR] Create model{kws.axmodel} handle failed.\n[ERROR] Loading model{m} failed.\n")
    assert "another chip" in explain(failed, 255)
    assert explain(failed, 255, loaded=True).endswith("until the board is rebooted: reboot it")
    assert "StackFlow's services" in explain(failed, 255, loaded=True, short_of_memory=True)
    assert explain(parse(b"Engine push input is done."), 139).startswith("the engine crashed; users report")


@given(st.binary(max_size=500) | st.lists(st.sampled_from(REAL.split(b" ")), max_size=80).map(b" ".join))
def test_no_output_breaks_the_parser(raw):
    report = parse(raw)
    assert all(0 <= value < 1e9 for value in report.latency_ms.values())
    assert all(value.isprintable() and len(value) <= 80 for value in report.facts.values())


@pytest.mark.parametrize("time", [b"9e999", b"nan", b"inf", b"-1.0", b"1" * 50])
def test_a_time_that_is_none_is_not_read(time):
    assert parse(b"min = " + time + b" ms").latency_ms == {}
