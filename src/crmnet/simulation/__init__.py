"""A simulated yeast cell with known truth, and a reporter assay in it.

Takes a size and a seed, gives a data set with the true expression and the true sites of every
promoter: training and explanation can be tested without downloads.
"""
