"""The host's export, for pairs."""
