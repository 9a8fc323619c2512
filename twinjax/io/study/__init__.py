"""A study file: one page of TOML, written by hand, that says which data, which model, and what to do with them."""

from twinjax.io.study.study import Study, data_file, read_study, shipped
from twinjax.io.study.tables import StudyError

__all__ = ["Study", "StudyError", "data_file", "read_study", "shipped"]
