"""A trained model on disk: settings and recipes, run folder, packed file, model card."""
