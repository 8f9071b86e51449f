"""The host's training, for pairs."""
