"""Formats of other tools: one module per tool, with `write` for tasks and `read` for exports."""
