"""Errors that tell apart what failed from what was asked wrongly."""

from __future__ import annotations


class UsageError(ValueError):
    """What was asked for cannot be meant, or means several things; other arguments mend it.

    The command line ends with status 2 then.  What only another file, or more room on a disk, can
    mend is a plain ValueError or OSError, and status 1.
    """


class NoSuchFileError(UsageError, FileNotFoundError):
    """A file that was named is not there."""
