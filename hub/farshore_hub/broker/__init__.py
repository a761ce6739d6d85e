"""MQTT, by which sites get their orders at once: the hub's own broker, and what the hub says and hears at any."""
