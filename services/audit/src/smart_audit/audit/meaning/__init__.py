"""Search by meaning: the distinct kinds of event in words, their vectors, and their ranking."""
