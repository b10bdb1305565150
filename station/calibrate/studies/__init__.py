"""The worth of a calibration: comparisons with the simulated rig's truth, and many calibrations on the Scene alone."""
