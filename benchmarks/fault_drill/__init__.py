"""The parts of the fault drill; :mod:`faults` runs them. One module holds one family of faults."""
