"""The doctor: looks at everything a hub stands on, and says what is wrong and what to do. It reads unless asked."""
