"""The host's prediction, for pairs."""
