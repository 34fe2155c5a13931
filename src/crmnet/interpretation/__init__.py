"""Interpretation: attributions, planted sites, logos and discovered motifs."""
