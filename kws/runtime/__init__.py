"""From audio to events: what runs on the board. numpy and soundfile, never torch, scipy, pydantic or DVC.

Python 3.10 must do: that is what the boards ship.
"""
