"""Room of the journal: thins what sites have said long ago, a little at a time."""
