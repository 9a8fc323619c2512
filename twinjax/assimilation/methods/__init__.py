"""Ways to learn from a patient's data: by the mode, by particles, by Kalman's gain."""
