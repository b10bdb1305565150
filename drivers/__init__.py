"""Drivers: cameras, arms and lights, real and simulated, behind three small Protocols."""
