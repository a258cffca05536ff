"""The command line of Smart Audit: data on stdout, progress and errors on stderr."""
