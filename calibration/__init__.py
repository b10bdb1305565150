"""What was measured about a rig: the mathematics of its calibration, and the record that keeps the result.

Nothing here opens a device or a rig file: pictures come in as arrays, results go out as values. `record` is the file
format that recipes are bound to; `camera_model` is the pinhole camera that all rooms share. From a rig to a record
leads `station.calibrate`.
"""
