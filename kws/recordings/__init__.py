"""What people record: sound files read, and the word found in them."""
