"""The catalogue of faults: what users, files and machines get wrong, and what is said about it."""
