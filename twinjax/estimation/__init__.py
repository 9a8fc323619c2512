"""What the data say: likelihoods, calibration of one patient, of pooled data and of a population, and the `Fit`."""
