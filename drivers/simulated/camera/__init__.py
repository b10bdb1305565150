"""The rig's side of the simulated camera: its wire to the GenTL producer, pixel formats, faults."""
