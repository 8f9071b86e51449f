"""Mistakes of the user, told apart from bugs: the command turns these, and only these, into one line and exit code 2.

Each is also the built-in exception that fits, so that `except ValueError` goes on working.
"""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right. The message says what was expected, what came and what to do."""


class UserValueError(UserError, ValueError):
    """A value that cannot be used."""


class UserTypeError(UserError, TypeError):
    """A value, a file or a model of the wrong kind."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that is not there."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """A package that this job needs and that is not installed."""
