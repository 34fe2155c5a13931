"""Constants of the assay: adapters, lengths, sorting bins."""

LENGTH = 112
"""Length of the networks' input (paper, section 2.2); constructs are padded to it."""
INSERT = 80
"""Bases of the assay's inserts, and of the windows of longer sequences."""

BINS = 18
"""Sorting bins of the assay, 0 to 17."""
TOP_BIN = BINS - 1

ADAPTER_5 = "TGCATTTTTTTCACATC"
ADAPTER_3 = "GGTTACGGCTGTT"
ADAPTER_MISMATCHES = 2
"""An adapter with up to this many substitutions is recognised; 2.4 % of real rows have some."""
