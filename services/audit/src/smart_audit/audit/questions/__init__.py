"""Questions in plain English: which of their parts are filters, and which are ranked by meaning.

Pure: what depends on the log (whether a name is one of its people) is left as a choice of options.
"""
