"""Drawings: arrays in, matplotlib axes out; nothing here shows or saves."""
