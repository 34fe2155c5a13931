"""A simulated yeast cell with known truth, and a reporter assay in it.

Takes a size and a seed and writes a data set with the true expression and the true sites of every
promoter. It tests training and explanation without downloads.
"""
