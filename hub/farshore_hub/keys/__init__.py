"""Other keys for a hub: made, announced, retired, kept in an encrypted file, and brought back from it."""
