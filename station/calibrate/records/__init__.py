"""Calibration records: made from what was measured, judged by limits, written once, plotted, and bound to recipes."""
