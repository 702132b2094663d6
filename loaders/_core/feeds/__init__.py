"""Feeds: what can be said of one, its pages, and the forms of an answer."""
