"""Who: covariates, variability, subjects, cohorts. Knows no solver."""
