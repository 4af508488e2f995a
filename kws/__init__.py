"""Keyword spotting from one recording per word: the library. It knows nothing of stages, paths or DVC."""

import os

# ONNX Runtime would tell its makers how it is used, by a thread beside which workers cannot be forked
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
