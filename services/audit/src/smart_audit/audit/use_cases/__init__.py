"""What audit does, a verb a file. No wire, no SQL."""
