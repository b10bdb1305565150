"""The calibration report: one HTML page (`page`) with its plots drawn as SVG (`plots`)."""
