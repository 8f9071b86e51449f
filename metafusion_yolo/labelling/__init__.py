"""Labels: an ensemble labels pairs, people correct them in a tool they know, and the corrections are read back."""
