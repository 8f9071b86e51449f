"""Pure functions on tensors: colour, structural similarity, losses, metrics."""
