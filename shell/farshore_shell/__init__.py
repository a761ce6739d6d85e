"""What agent, hub and demo share of the real world: clocks, randomness, threads, and the frame of their commands."""
