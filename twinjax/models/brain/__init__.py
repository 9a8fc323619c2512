"""The brain behind its barriers."""
