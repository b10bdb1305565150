"""The simulated camera's end in the rig process: its wire, its pixel formats, its faults."""
