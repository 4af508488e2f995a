"""How data/encoder/encoder.pt was made: steps of their own, which no user of the project needs to run."""
