"""The simulated rig: one process that owns a Scene and offers it on the wires that hardware has.

`rig.py` puts it together from `world/` (what there is), `firmware/` (the controllers' stand-ins), `wires/` and
`camera/` (what the drivers talk to) and `back_door.py` (what tests and demo talk to). `scene/` renders, `simcam/` is
the GenTL producer, `process.py` starts it all from another program.
"""
