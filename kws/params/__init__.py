"""params.yaml: its sections, the file as a whole, how it is composed, and what it costs."""
