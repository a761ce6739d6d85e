"""What an agent and a hub must agree on: pure functions and values, no input or output, no clock, no randomness."""

__version__ = "0.1.0"
