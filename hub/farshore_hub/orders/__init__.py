"""What the hub wants of its sites: settings made of layers, rolled out in stages, and commands; see decision 0024."""
