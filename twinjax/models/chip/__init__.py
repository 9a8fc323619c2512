"""Organs on chips."""
