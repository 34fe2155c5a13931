"""Studies that combine simulation, training and evaluation: the demonstration and the ablation.

``crmnet demo`` and ``crmnet ablate`` call them.
"""
