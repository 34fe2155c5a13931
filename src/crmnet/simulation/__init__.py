"""A simulated yeast cell with known truth, and a reporter assay in it.

:func:`crmnet.simulation.assay.simulate` takes a size and a seed and writes a data set with the true
expression and the true sites of every promoter. With it, training and explanation are tested
without downloads.
"""
