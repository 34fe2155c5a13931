"""Panels and logos: take arrays and draw on matplotlib axes; callers save the figures."""
