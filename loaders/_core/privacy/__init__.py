"""Personal data: known by its class, landed with pseudonyms, shown, taken out and erased on request."""
