"""Calibration of a rig, from pictures to a released record.

`runs` are the commands' work, each from an opened rig to a report. Below them, `camera`, `viewpoints`, `lights`,
`field` and `sensor` measure one thing each on the benches of `bench`; `records` makes, keeps and binds the record.
`studies` compares with the simulated truth, and alone may look at the simulated Scene.
"""
