"""Calibration as the station does it: pictures from folders or from a live rig, into functions of `calibration`."""
