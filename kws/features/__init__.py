"""The front end: log-mel features of clips and of streams, the same numbers on every computer."""
