"""Panels and logos: take arrays, draw on matplotlib axes; saving is left to the caller."""
