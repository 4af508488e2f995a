"""What a model is compiled for, one module a target."""
