"""Reports of a validation: accuracy by class and condition, fusion quality, weights, robustness, misses."""
