"""Training: the rows, losses, optimiser and Lightning module, and the function that runs them."""
