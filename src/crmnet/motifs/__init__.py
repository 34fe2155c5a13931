"""Motifs: position weight matrices and where they come from; arrays in, motifs out, no model."""
