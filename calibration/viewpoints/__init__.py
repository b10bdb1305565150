"""Viewpoints: where the camera truly is when the arm reports a taught pose, and whether it still is there.

`taught` holds a viewpoint with its uncertainty and what it sees, `record` the file of viewpoints, `drift` the check of
each shift.
"""
