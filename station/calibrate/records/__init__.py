"""Calibration records: made, kept, plotted, and bound to recipes."""
