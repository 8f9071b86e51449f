"""Labels without drudgery: an ensemble labels pairs, people correct that in a tool they know, and it is read back."""
