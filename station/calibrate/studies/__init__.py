"""What a calibration is worth, against the simulated rig's truth."""
