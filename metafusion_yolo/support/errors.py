"""Mistakes of the user, as opposed to bugs: the command turns only these into one line and exit code 2.

Each is also the matching built-in exception, so `except ValueError` keeps working.
"""


class UserError(Exception):
    """Something the user can correct. The message says what was expected, what came and what to do."""


class UserValueError(UserError, ValueError):
    """A value that cannot be used."""


class UserTypeError(UserError, TypeError):
    """A value, a file or a model of the wrong kind."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that does not exist."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """A required package that is not installed."""
