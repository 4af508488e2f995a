"""Programs that behave like Docker, Pulsar2 and a board as far as their documents and logs say."""
