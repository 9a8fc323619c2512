"""Searches beyond one fit: covariates, and designs of trials to come."""
