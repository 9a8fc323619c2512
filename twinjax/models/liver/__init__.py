"""The liver: what it does to a drug, and what a drug does to it."""
