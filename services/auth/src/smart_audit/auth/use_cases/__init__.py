"""What auth does, a verb a file. No wire, no SQL."""
