"""Numbers to believe: recordings by unseen voices, alone and in streams of speech and background."""
