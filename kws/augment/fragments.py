"""Hard negatives: what is left of a keyword when it is not whole."""

from typing import Literal

import numpy as np

from kws.augment.placement import fade_edges
from kws.common.types import Audio
from kws.params.sections import Fragment


def fragment(kind: Fragment, word: Audio, other: Audio, cut: float) -> Audio:
    """Return what a kind leaves of a word whose first part is the share `cut`, float32 [fragment_length]."""
    at = round(len(word) * cut)
    match kind:
        case "entering" | "beginning":
            return word[:at]
        case "leaving" | "end":
            return word[len(word) - at :]
        case "swapped":
            return np.concatenate([fade_edges(word[at:]), fade_edges(word[:at])])
        case "reversed":
            return np.ascontiguousarray(word[::-1])
        case "joined":
            return np.concatenate([fade_edges(word[:at]), fade_edges(other[round(len(other) * cut) :])])


def fragment_length(kind: Fragment | Literal["keyword"], word: int, other: int, cut: float) -> int:
    """Return the samples of a fragment, or of the whole keyword, of words of these lengths."""
    if kind in ("keyword", "swapped", "reversed"):
        return word
    return round(word * cut) + (other - round(other * cut) if kind == "joined" else 0)
