"""What other tools read and write: a module a tool, each with `write` for its tasks and `read` for its export."""
