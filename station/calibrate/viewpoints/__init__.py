"""Viewpoints: taught by jogging (`teach`), measured, and checked for drift each shift.

`measured_geometry` joins them with the camera, because both are adjusted together.
"""
