"""Errors that people read: what went wrong, in one sentence that says what to do."""


class UserError(Exception):
    """A setting, name, date or file is not usable: the message is one sentence with the remedy, the exit code 2."""
