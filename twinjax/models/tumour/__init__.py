"""Tumours: how they grow, and what drugs and immune cells do to them."""
