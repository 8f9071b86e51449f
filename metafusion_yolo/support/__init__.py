"""What every room stands on: files, logs, pages, words; nothing here knows of fusion."""
