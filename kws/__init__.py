"""Keyword spotting from one recording per word: the library. It knows nothing of stages, paths or DVC."""
