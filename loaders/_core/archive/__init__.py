"""Answers of vendors kept as they came, and raw made from them again: docs/runbooks/archive.md."""
