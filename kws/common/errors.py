"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Bad input: one line that names the file or key, says what was expected and what to do."""
