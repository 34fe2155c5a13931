"""Promoters to try: fragments of three yeast promoters, and random bases.

The fragments are the bases −160 to −80 before the start codon in the reference genome sacCer3, of
which the native test set of Vaishnav et al. 2022 holds one for each gene.
"""

from __future__ import annotations

import random
from typing import Any

EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "id": "ADH1",
        "title": "ADH1, fermentation",
        "sequence": "AACGGTATACGGCCTTCCTTCCAGTTACTTGAATTTGAAA"
        "TAAAAAAAAGTTTGCTGTCTTGCTATCAAGTATAAATAGA",
        "note": "It contains TATAAATA, a TATA box; the complete promoter is one of the strongest.",
    },
    {
        "id": "REB1",
        "title": "REB1, regulates itself",
        "sequence": "CCTCGGAAAAATTGATCACGTGATATATAGCAACAACTTT"
        "GTTACCCGTCTTTCAAATTGGGCCCATGCCGGGTGGCAAA",
        "note": "It contains TTACCCG, the site of the factor Reb1, and nearly the same once more.",
    },
    {
        "id": "GAL1",
        "title": "GAL1, use of galactose",
        "sequence": "GCGATTAGTTTTTTAGCCTTATTTCTGGGGTAATTAATCA"
        "GCGAAGCGATGATTTTTGATCTATTAACAGATATATAAAT",
        "note": "It contains a TATA box; galactose acts further upstream.",
    },
)
"""Id, title, sequence and one sentence for each."""
BASES = 80


def random_promoter(seed: int) -> dict[str, str]:
    """Random bases; the same for the same seed."""
    bases = "".join(random.Random(seed).choices("ACGT", k=BASES))
    return {"id": f"random_{seed}", "sequence": bases}
