"""What may be a label: a name that is safe as a folder, in a topic, in a command and on a terminal."""

import unicodedata
from collections.abc import Sequence

LONGEST = 60
"""Characters; four bytes each still fit in the name of a folder."""
RULE = f"letters, digits, _ and -, a letter or digit first, {LONGEST} characters at most"


def is_label(text: str) -> bool:
    """Whether a text is made as `RULE` says. Letters are those of any script, with their marks."""
    kinds = [unicodedata.category(character)[0] for character in text]
    return (
        0 < len(text) <= LONGEST
        and kinds[0] in "LN"
        and all(kind in "LNM" or character in "_-" for kind, character in zip(kinds, text, strict=True))
    )


def check_labels(labels: Sequence[str]) -> None:
    """Raise ValueError unless these are labels, each of them once."""
    for label in labels:
        if not is_label(label):
            raise ValueError(f"label {label[:LONGEST]!a}, expected {RULE}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"labels holds one name twice: {' '.join(labels)[:300]}")
