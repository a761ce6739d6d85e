"""The hub's account of every stream: what is stored, shed, pending and missing. Pure; the store keeps what it decides.

For every stream of every incarnation, at any moment: `produced = stored + receipted + pending + gap`.
"""
