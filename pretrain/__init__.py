"""How data/encoder/encoder.pt is made: a pipeline of its own, which no user of the project needs to run."""
