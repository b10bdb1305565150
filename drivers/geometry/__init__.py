"""The ground floor: poses, rigid transforms and arm kinematics, used by the drivers and by the calibration.

Nothing here imports another part of the project.
"""
