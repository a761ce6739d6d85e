"""Carries alerts out of the house: a durable outbox, webhooks with a signature, an MQTT broker."""
