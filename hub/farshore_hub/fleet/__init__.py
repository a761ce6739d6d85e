"""Who belongs to this hub: its own keys, the sites and their certificates, and the people's tokens."""
