"""CRMnet: network, motif stem, fast layers, training and inference forms, published weights.

``network.py`` defines the one forward pass. The two forms replace layers of it with those of
``fast_layers.py``.
"""
