"""Why to believe a fit, on one page: what was fitted to what, how well, and with what it was made."""
