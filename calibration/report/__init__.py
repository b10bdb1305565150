"""The report of a calibration: plots in SVG and one HTML page."""
