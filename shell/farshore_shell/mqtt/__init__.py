"""A small MQTT 3.1.1 client that trusts no broker with its memory; shared by the agent and the hub."""
