"""Geometry on the ground floor: rigid transforms and arm kinematics, for drivers and calibration alike."""
