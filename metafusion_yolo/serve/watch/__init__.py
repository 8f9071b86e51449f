"""Watched camera pairs: stream, detector and tracker, rules, outbox, and receivers of events."""
