"""What a validation reports: accuracy by class and condition, fusion quality, weights, robustness, misses."""
