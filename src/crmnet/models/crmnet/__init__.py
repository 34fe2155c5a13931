"""CRMnet: network, motif stem, fast layers, training and inference forms, published weights.

``network.py`` defines the only forward pass. The training form and the inference form are copies of
the network with layers of ``fast_layers.py``.
"""
