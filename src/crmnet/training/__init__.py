"""Training: choice of rows, losses, optimiser, Lightning module, run folder, and :func:`train`."""
