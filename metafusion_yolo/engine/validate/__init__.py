"""The host's validation, for pairs."""
