"""What the drug does: effects driven by a concentration."""
