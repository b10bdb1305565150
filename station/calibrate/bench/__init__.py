"""The benches on which calibration measures: one for spheres and plane, one for the board.

Each is a protocol and its implementation on a live rig; `studies.scene_bench` has others for the simulated Scene alone.
"""
