"""Boards: how they are reached, what is sent, what their answers mean, and what is missing."""
