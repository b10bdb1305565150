"""Calibration boards: what they are, and where their points are in a picture."""
