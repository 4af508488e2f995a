"""Benchmarks: each prints one JSON object a line. They run with the threads of the stages."""

import stages as stages
