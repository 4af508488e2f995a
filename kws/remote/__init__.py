"""Boards: reached over OpenSSH, measured with the tool that is installed there."""
