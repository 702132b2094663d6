"""Tables of databases, copied as they are."""
