"""Foundations of all other packages: errors, files, logs, pages, words. Independent of fusion."""
