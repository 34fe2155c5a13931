"""Writers that several commands share: tables, figures, numbers as text, the page of a data set.

The functions take plain values and write files, for the modules of :mod:`crmnet.cli` and for the
report modules of other folders. The tables and pages of a single command are in the folder of that
command's function.
"""
