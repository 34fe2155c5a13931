"""CRMnet: the network, its stem, its training and inference forms, and published weights."""
