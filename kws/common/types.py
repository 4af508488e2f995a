"""Arrays that modules hand to each other."""

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
"""Mono samples in -1..1: [samples]."""

Pcm = NDArray[np.int16]
"""16-bit samples: [samples], or clips [n, samples]."""

Features = NDArray[np.float32]
"""Log-mel: [frames, n_mels], or batches [n, 1, frames, n_mels]."""

Labels = NDArray[np.int64]
"""Positions in the list of labels: [n]."""

Indices = NDArray[np.int64]
"""Positions of clips: [n]."""

Logits = NDArray[np.float32]
"""Unnormalised scores: [n, labels]."""

Directions = NDArray[np.float32]
"""What clips sound like to an encoder, each of length 1: [n, embedding]."""
