"""The place where calibration measures: an opened rig, a target, one light, one frame."""
