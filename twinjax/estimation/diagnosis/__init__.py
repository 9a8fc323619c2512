"""How well a fitted population describes the data: residuals, simulation, predictive checks."""
