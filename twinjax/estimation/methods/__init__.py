"""Ways to estimate: one method a file, each a frozen object that `fit` takes."""
