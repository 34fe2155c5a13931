"""Networks to compare CRMnet with, one per file.

Each file defines a network, its configuration and its reference card. :data:`crmnet.models.MODELS`
lists all networks, and :func:`crmnet.models.build` builds one for training.
"""
