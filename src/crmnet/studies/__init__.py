"""Studies that combine several verbs: the demonstration and the ablation."""
