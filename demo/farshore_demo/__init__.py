"""The demonstration: one hub and a few sites on one machine, driven through the installed commands."""
