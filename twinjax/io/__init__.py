"""The doors: data files in, tables out. Units are converted, and problems named, before anything is computed."""

from twinjax.io.against import check_against
from twinjax.io.frame import to_frame
from twinjax.io.nonmem import levels, read_nonmem, validate
from twinjax.io.problems import DataError, Problem

__all__ = ["DataError", "Problem", "check_against", "levels", "read_nonmem", "to_frame", "validate"]
