"""The doors of a site: what comes in over HTTP, from Python, from files; admitted, or refused with a reason."""
