"""How sure the estimates are: matrices of second derivatives, profiles, resampling."""
