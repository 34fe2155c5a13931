"""Networks to compare CRMnet with, one per file.

Each file holds a network, its configuration and its card; :data:`crmnet.models.MODELS` lists all.
"""
