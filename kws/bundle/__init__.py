"""What a board needs, packed: the model, its detector, and the code that runs them."""
