"""Camera pairs that are watched: stream, detector and tracker, rules, outbox, and those who are told."""
