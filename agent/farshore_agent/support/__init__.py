"""What somebody needs who is to help from afar."""
