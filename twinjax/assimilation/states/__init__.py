"""Twins that believe in states as well as in random effects: noise on both, and filters that learn them."""
