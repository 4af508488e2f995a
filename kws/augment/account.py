"""What the clips of a label are made of, in a line."""

from kws.augment.sources import Bank
from kws.recordings.audio import some


def of_words(label: str, bank: Bank, rate: int) -> str:
    """Return which recordings of a keyword are used, by how many voices, and how long their words are."""
    voices = {name.split("/")[0] for name in bank.names} - {label}
    by = f", {_number(len(voices), 'voice')} besides your own" if voices else ""
    words = [f"{name} ({bank.length(name) / rate:.2f} s)" for name in bank.names]
    return f"{label}: {_number(len(words), 'word')}{by}: {some(words)}"


def of_sounds(label: str, background: Bank, speech: Bank, rate: int) -> str:
    """Return how much there is of background, and of speech without keywords."""
    parts = [f"{_minutes(background, rate)} of background", f"{_minutes(speech, rate)} of speech"]
    return f"{label}: {', '.join(parts[: 2 if speech.names else 1])}"


def _minutes(bank: Bank, rate: int) -> str:
    return f"{len(bank.samples) / rate / 60:.1f} min in {_number(len(bank.names), 'file')}"


def _number(n: int, of: str) -> str:
    return f"{n} {of}" if n == 1 else f"{n} {of}s"
