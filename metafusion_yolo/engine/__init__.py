"""Trainer, validator, predictor, exporter and results: thin subclasses of the host's."""
