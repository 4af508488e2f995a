"""The self-noise of a good microphone, which lies under whatever it hears."""

import numpy as np

FLOOR_DBFS = -70.0
"""RMS in dB below full scale."""
FLOOR = np.float32(10 ** (FLOOR_DBFS / 20))
"""The same as a share of full scale."""
