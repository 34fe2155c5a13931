"""What a trained model is on disk: its settings, its run folder, packed files and model cards."""
