"""Random numbers that depend on (seed, label, clip index) alone: never on workers or on other labels."""

import hashlib

import numpy as np


def rng(seed: int, label: str, index: int) -> np.random.Generator:
    """Return the generator of one clip, or of one drawing that `label` names."""
    word = int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big")
    return np.random.default_rng(np.random.SeedSequence([seed, word, index]))
