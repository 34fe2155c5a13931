"""A simulated yeast cell whose truth is known, and a reporter assay in it."""
