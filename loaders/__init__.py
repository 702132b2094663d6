"""The sources: one module each, and the core they share."""
