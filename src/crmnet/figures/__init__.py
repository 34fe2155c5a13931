"""Panels and logos: the functions draw arrays on matplotlib axes; callers save the figures."""
