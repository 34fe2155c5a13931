"""Studies that combine several commands: the demonstration and the ablation."""
