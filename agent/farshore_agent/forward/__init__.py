"""Forwarding: batches from the buffer reach the hub, over whatever link there is, and its answers come back."""
