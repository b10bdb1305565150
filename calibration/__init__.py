"""Calibration: what was measured about a rig, and the pure functions that measure it from pictures."""
