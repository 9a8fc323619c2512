"""How it is integrated: a problem, the backends that can solve it, and `simulate`. Knows no people and no priors."""
