"""Streams that follow a log: they share what is read, and keep a place in the log each."""
