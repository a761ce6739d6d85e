"""How work is run: in loops, in threads, in groups, so much at a time."""
