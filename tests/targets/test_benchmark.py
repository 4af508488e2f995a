"""What is told of the machine that a model was timed on."""

from pathlib import Path

from kws.runtime.inference import WITH_VNNI, instructions


def test_the_processor_says_how_it_multiplies_8_bits():
    found, told = instructions(), Path("/proc/cpuinfo")
    if told.exists():
        assert set(found) == {
            name for name in WITH_VNNI if f" {name} " in told.read_text().replace("\n", " ")
        }
    else:
        assert found is None
